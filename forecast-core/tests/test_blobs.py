"""Files of the store that are no tables: written in full or not at all, in a folder or on an object store."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from forecast_core.contracts.errors import InvalidArgument, NotFoundError, StorageError
from forecast_core.contracts.settings import Settings
from forecast_core.tables import blobs


def test_what_is_written_is_read_and_replaced(tmp_path: Path) -> None:
    settings = Settings(root_dir=tmp_path / "a root")
    path = blobs.write(settings, "validation", "demo", "x.json", content=b"one")
    assert path == str(tmp_path / "a root/store/validation/demo/x.json")
    assert blobs.read(settings, "validation", "demo", "x.json") == b"one"
    assert blobs.write(settings, "validation", "demo", "x.json", content=b"two") == path
    assert blobs.read(settings, "validation", "demo", "x.json") == b"two"
    assert [each.name for each in Path(path).parent.iterdir()] == ["x.json"]


def test_another_user_may_read_what_the_umask_allows(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch()
    written = Path(blobs.write(Settings(root_dir=tmp_path), "x.json", content=b"one"))
    assert written.stat().st_mode == other.stat().st_mode


@pytest.mark.parametrize("parts", [("absent.json",), ("folder",), ("file", "below.json")])
def test_a_file_that_is_not_there_is_not_found(tmp_path: Path, parts: tuple[str, ...]) -> None:
    settings = Settings(root_dir=tmp_path)
    blobs.write(settings, "folder", "x.json", content=b"one")
    blobs.write(settings, "file", content=b"one")
    with pytest.raises(NotFoundError, match="there is no file"):
        blobs.read(settings, *parts)


@pytest.mark.parametrize("part", ["..", "../x", "/etc/passwd", "a/b", "", ".hidden", "a\\b", "x\n", "%2e%2e"])
def test_no_name_leads_out_of_the_store(tmp_path: Path, part: str) -> None:
    settings = Settings(root_dir=tmp_path)
    with pytest.raises(InvalidArgument, match="is named by letters"):
        blobs.read(settings, "validation", part)
    with pytest.raises(InvalidArgument, match="is named by letters"):
        blobs.write(settings, "validation", part, content=b"")


def test_no_link_leads_out_of_the_store(tmp_path: Path) -> None:
    settings = Settings(root_dir=tmp_path)
    (tmp_path / "secret.html").write_text("secret")
    blobs.write(settings, "validation", "demo", "x.html", content=b"one")
    folder = tmp_path / "store" / "validation"
    (folder / "demo" / "link.html").symlink_to(tmp_path / "secret.html")
    (folder / "outside").symlink_to(tmp_path)
    (folder / "inside").symlink_to(folder / "demo")
    for parts in (("demo", "link.html"), ("outside", "secret.html")):
        with pytest.raises(NotFoundError):
            blobs.read(settings, "validation", *parts)
    assert blobs.read(settings, "validation", "inside", "x.html") == b"one"


def test_a_full_disk_is_a_storage_error_and_leaves_no_half_file(tmp_path: Path) -> None:
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("needs a mount namespace of its own (unshare -rm) to make a small disk")
    code = (
        "import sys\nfrom pathlib import Path\nfrom forecast_core.contracts.settings import Settings\n"
        "from forecast_core.tables import blobs\n"
        "settings = Settings(store_uri=sys.argv[1])\nblobs.write(settings, 'small.json', content=b'[1]')\n"
        "try:\n    blobs.write(settings, 'small.json', content=b'x' * 1_000_000)\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
        "print(sorted(path.name for path in Path(sys.argv[1]).iterdir()), blobs.read(settings, 'small.json'))"
    )
    mount = 'mount -t tmpfs -o size=64k tmpfs "$1" && exec "$0" -c "$2" "$1"'
    command = ["unshare", "-rm", "sh", "-c", mount, sys.executable, str(tmp_path), code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "mount:" in done.stderr:
        pytest.skip("may not mount a small disk here")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith(f"StorageError the disk that holds {tmp_path}/small.json is full")
    assert second == "['small.json'] b'[1]'"


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the folder ought to be")
    with pytest.raises(StorageError, match="cannot be read or written now"):
        blobs.write(Settings(root_dir=tmp_path), "x.json", content=b"one")


def test_secrets_in_storage_options_are_refused() -> None:
    settings = Settings(store_uri="s3://bucket", storage_options={"AWS_SECRET_ACCESS_KEY": "hunter2"})
    with pytest.raises(InvalidArgument, match="hold no secrets"):
        blobs.read(settings, "x.json")
