"""Pages of lists; the address of the next page is in a JSON body and in the header Link (RFC 8288)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request, Response

from app_api.parameters import PageQuery
from app_api.run_index import encoded

T = TypeVar("T")


@dataclass(frozen=True)
class PageFacts:
    """The position of a page in a list."""

    total: int
    limit: int
    offset: int
    next: str | None

    def linked(self, answer: Response) -> Response:
        """Return the answer with the address of the next page in its header, if there is one."""
        answer.headers["X-Total-Count"] = str(self.total)
        if self.next is not None:
            answer.headers["Link"] = f'<{self.next}>; rel="next"'
        return answer

    def body(self, items: Sequence[Any]) -> bytes:
        """Return a page as ``models.Page`` has it, as JSON."""
        facts = {"total": self.total, "limit": self.limit, "offset": self.offset, "next": self.next}
        return encoded({"items": list(items), **facts})


def page_facts(request: Request, query: PageQuery, total: int) -> PageFacts:
    """Return the facts of the page that a request asks for."""
    following = query.offset + query.limit
    url = request.url.include_query_params(offset=following)
    return PageFacts(total, query.limit, query.offset, f"{url.path}?{url.query}" if following < total else None)


def paged(
    request: Request,
    query: PageQuery,
    items: Sequence[T],
    shown: Callable[[Sequence[T]], Sequence[Any]] = lambda page: page,
) -> bytes:
    """Return the page of a list that a request asks for, as JSON; ``shown`` turns its items into JSON values."""
    page = items[query.offset : query.offset + query.limit]
    return page_facts(request, query, len(items)).body(shown(page))
