"""GitHub's REST API, as far as the pipelines use it: comments of a pull request, issues with a label."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

from ..errors import OperationError

# docs.github.com/rest/about-the-rest-api/api-versions
VERSION = "2022-11-28"
# How often a request is sent, and how long a rate limit is waited for altogether, in seconds.
ATTEMPTS, PATIENCE = 4, 300.0
# "Otherwise, wait for at least one minute" (docs.github.com, rate limits for the REST API).
SECONDARY_WAIT = 60.0
# A repeated one has the effect of one; a repeated POST makes a second thing.
REPEATABLE = frozenset({"GET", "PATCH"})
PAGE = 100
# Whose texts count as ours: the workflow's own account, or somebody who may write to the repository.
TRUSTED = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
HINTS = {
    401: "the token is not valid; in a workflow: env: {{GITHUB_TOKEN: ${{{{ github.token }}}}}}",
    403: "the token may not do that; the job needs `permissions: {permission}: write`",
    404: "there is no such thing in {repository}, or the token may not see it",
    422: "GitHub does not take what was sent",
}
PERMISSIONS = {"issues": "issues", "comments": "pull-requests"}


class GitHubError(OperationError):
    """GitHub did not do what was asked; the message says what that was and what helps."""


class _Uncertain(GitHubError):
    """An answer of the server's that leaves open whether something was made."""


@dataclass(frozen=True)
class Text:
    """A comment or an issue of ours: `number` is what it is called by in the API."""

    number: int
    body: str
    url: str


class GitHub:
    """One repository.

    Arguments: `api`, the API's address (GITHUB_API_URL); `repository`, OWNER/NAME; `token`, which may write
    comments and issues; `sleep`, how time passes.
    """

    def __init__(
        self, api: str, repository: str, token: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._base = f"{api.rstrip('/')}/repos/{repository}"
        self._repository = repository
        self._sleep = sleep
        self._pool = urllib3.PoolManager(
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {token}",
                "User-Agent": "itqan",
                "X-GitHub-Api-Version": VERSION,
            },
            timeout=30,
            retries=urllib3.Retry(total=None, connect=False, read=False, status=False, redirect=5, other=0),
        )

    def put_comment(self, number: int, marker: str, body: str) -> str:
        """The one comment of a pull request with a marker: made, or changed in place. Returns its address.

        Raises GitHubError.
        """

        def find() -> Text | None:
            return next(self._marked(f"issues/{number}/comments", marker), None)

        def make() -> Any:
            return self._send("POST", f"issues/{number}/comments", {"body": body})

        def change(found: Text) -> Any:
            return self._send("PATCH", f"issues/comments/{found.number}", {"body": body})

        return self._put(find, make, change)

    def find_issue(self, label: str, marker: str) -> Text | None:
        """The oldest open issue with a label and a marker. Raises GitHubError."""
        query = f"issues?labels={label}&state=open&sort=created&direction=asc"
        return next(self._marked(query, marker), None)

    def open_issue(self, label: str, marker: str, title: str, body: str) -> str:
        """A new issue, unless one with that marker came about meanwhile. Returns its address.

        Raises GitHubError.
        """

        def make() -> Any:
            return self._send("POST", "issues", {"title": title, "body": body, "labels": [label]})

        def change(found: Text) -> Any:
            return self._send("PATCH", f"issues/{found.number}", {"body": body})

        return self._put(lambda: self.find_issue(label, marker), make, change)

    def change_issue(self, number: int, *, body: str) -> str:
        """Another text for an issue. Returns its address. Raises GitHubError."""
        return str(self._send("PATCH", f"issues/{number}", {"body": body})["html_url"])

    def close_issue(self, number: int) -> None:
        """Closes an issue as done. Raises GitHubError."""
        self._send("PATCH", f"issues/{number}", {"state": "closed", "state_reason": "completed"})

    def comment(self, number: int, body: str) -> None:
        """One more comment. Raises GitHubError."""
        self._send("POST", f"issues/{number}/comments", {"body": body})

    def _put(
        self, find: Callable[[], Text | None], make: Callable[[], Any], change: Callable[[Text], Any]
    ) -> str:
        """Changes what is found, else makes it; after an answer that leaves that open, looks once more."""
        for left in reversed(range(ATTEMPTS)):
            found = find()
            try:
                return str((change(found) if found else make())["html_url"])
            except _Uncertain:
                if not left:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _marked(self, path: str, marker: str) -> Iterator[Text]:
        """What begins with a marker and was written by somebody who may: others could put it there too."""
        for entry in self._pages(path):
            body = entry.get("body") or ""
            is_ours = (entry.get("user") or {}).get("type") == "Bot" or entry.get(
                "author_association"
            ) in TRUSTED
            # The list of issues has pull requests in it.
            if body.startswith(marker) and is_ours and "pull_request" not in entry:
                yield Text(int(entry.get("number") or entry["id"]), body, str(entry["html_url"]))

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        next_page: str | None = f"{self._base}/{path}{'&' if '?' in path else '?'}per_page={PAGE}"
        while next_page:
            answer = self._request("GET", next_page, None)
            yield from answer.json()
            next_page = _next_page(answer.headers)

    def _send(self, method: str, path: str, body: Mapping[str, object]) -> Any:
        return self._request(method, f"{self._base}/{path}", body).json()

    def _request(self, method: str, url: str, body: Mapping[str, object] | None) -> urllib3.BaseHTTPResponse:
        """The answer of a request that was accepted; waits for rate limits, repeats what can be repeated."""
        waited, reason = 0.0, ""
        for attempt in range(ATTEMPTS):
            try:
                answer = self._pool.request(method, url, json=body)
            except urllib3.exceptions.HTTPError as error:
                reason, pause = f"no answer: {error}", 2.0**attempt
            else:
                if answer.status < 300:
                    return answer
                reason = f"{answer.status}: {_message(answer)}"
                limit = _limit(answer, attempt)
                if limit is None and answer.status < 500:
                    raise self._refused(method, url, answer)
                pause = 2.0**attempt if limit is None else limit
                if limit is not None:
                    if waited + pause > PATIENCE:
                        break
                    waited += pause
                    print(f"  GitHub's rate limit: waiting {pause:.0f} s", file=sys.stderr)
                    self._sleep(pause)
                    continue
            if method not in REPEATABLE:
                self._sleep(pause)
                raise _Uncertain(f"{method} {url}: {reason}")
            self._sleep(pause)
        raise GitHubError(f"{method} {url}: {reason}; tried {attempt + 1} times; repeat the command later")

    def _refused(self, method: str, url: str, answer: urllib3.BaseHTTPResponse) -> GitHubError:
        path = url.removeprefix(self._base).strip("/").partition("?")[0]
        kind = "comments" if "comments" in path else "issues"
        hint = HINTS.get(answer.status, "that is not expected").format(
            permission=PERMISSIONS[kind], repository=self._repository
        )
        return GitHubError(f"{method} {path}: GitHub says {answer.status}: {_message(answer)}; {hint}")


def _next_page(headers: Mapping[str, str]) -> str | None:
    """Where the next page is, by the header `Link` (RFC 8288)."""
    for link in headers.get("Link", "").split(","):
        address, _, parameters = link.partition(";")
        if 'rel="next"' in parameters:
            return address.strip().strip("<>")
    return None


def _limit(answer: urllib3.BaseHTTPResponse, attempt: int) -> float | None:
    """Seconds until a limited request may be sent again; None for an answer that is no rate limit's.

    docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api: `retry-after`, else the reset of an
    exhausted limit, else a minute and then longer.
    """
    if answer.status not in (403, 429):
        return None
    if (after := answer.headers.get("Retry-After", "")).isdigit():
        return float(after)
    if answer.headers.get("X-RateLimit-Remaining") == "0":
        return max(1.0, float(answer.headers.get("X-RateLimit-Reset", "0")) - time.time())
    if answer.status == 429 or "rate limit" in _message(answer).lower():
        return SECONDARY_WAIT * 2.0**attempt
    return None


def _message(answer: urllib3.BaseHTTPResponse) -> str:
    """What GitHub says, its list of errors included."""
    try:
        found = json.loads(answer.data)
    except ValueError:
        return "an answer without JSON"
    if not isinstance(found, dict):
        return "an unknown answer"
    errors = found.get("errors") or []
    details = [
        e.get("message") or f"{e.get('field')} {e.get('code')}" if isinstance(e, dict) else e for e in errors
    ]
    return " ".join(": ".join([str(found.get("message")), *map(str, details)]).split())
