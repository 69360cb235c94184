"""What the pipelines log is shown as progress while a step runs, and nowhere else."""

import logging

from app_shell.progress import logged


def test_what_our_packages_log_is_shown_and_the_loggers_are_left_as_they_were() -> None:
    trials = logging.getLogger("training_pipeline.study")
    before = logging.getLogger("training_pipeline").level
    shown: list[str] = []
    with logged(shown.append, seconds=0):
        trials.info("trial %d of %d", 1, 20)
        trials.debug("a detail")
        # A warning is part of the result.
        trials.warning("stopped after 1 of 20 trials")
        logging.getLogger("mlflow").info("chatter")
    trials.info("nobody waits any more")
    assert shown == ["trial 1 of 20"]
    assert logging.getLogger("training_pipeline").level == before
    assert not logging.getLogger("training_pipeline").handlers


def test_lines_are_few() -> None:
    shown: list[str] = []
    with logged(shown.append, seconds=3600):
        for page in range(100):
            logging.getLogger("feature_pipeline.extract.pages").info("page %d", page)
    assert shown == []
