"""GitHub's API for one repository's issues and comments, held to the official description."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .api import Answer, Api, Description

DESCRIPTION = Path(__file__).with_name("github.json")
WHEN = "2026-11-24T00:00:00Z"
LIMIT = 65_536
BOT, VISITOR = "github-actions[bot]", "visitor"
Thing = dict[str, Any]


class GitHub(Api):
    """The API on a port of its own, as a context manager.

    Arguments: `repository`, OWNER/NAME; `token`, the only one it accepts; `may`, what that one may write.
    """

    def __init__(
        self, repository: str, token: str, may: tuple[str, ...] = ("issues", "pull_requests")
    ) -> None:
        super().__init__(Description(DESCRIPTION))
        self.repository, self.token, self.may = repository, token, may
        self.issues: list[Thing] = []
        self.comments: dict[int, list[Thing]] = {}
        self._ids: Iterator[int] = iter(range(1000, 1_000_000))

    def open_pull_request(self) -> int:
        """A pull request, which the list of issues has too. Returns its number."""
        made = self._issue("A pull request", "", [], _user(VISITOR, "User"), "NONE")
        made["pull_request"] = {"url": None, "html_url": None, "diff_url": None, "patch_url": None}
        return int(made["number"])

    def write_as_visitor(self, number: int, body: str) -> None:
        """A comment of somebody who may not write to the repository."""
        self.comments.setdefault(number, []).append(
            self._comment(number, body, _user(VISITOR, "User"), "NONE")
        )

    def texts(self, number: int) -> list[str]:
        """The comments of an issue or a pull request."""
        return [str(comment["body"]) for comment in self.comments.get(number, [])]

    def carry_out(self, request: BaseHTTPRequestHandler, body: Any) -> Answer:
        """The answer of a request."""
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return Answer(401, _error("Bad credentials", 401))
        where = urlsplit(request.path)
        place = where.path.removeprefix(f"/repos/{self.repository}/")
        query = {name: values[-1] for name, values in parse_qs(where.query).items()}
        routes: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
            ("GET", r"issues/(\d+)/comments", self._list_comments),
            ("POST", r"issues/(\d+)/comments", self._add_comment),
            ("PATCH", r"issues/comments/(\d+)", self._change_comment),
            ("GET", r"issues", self._list_issues),
            ("POST", r"issues", self._add_issue),
            ("PATCH", r"issues/(\d+)", self._change_issue),
        )
        for method, pattern, act in routes:
            match = re.fullmatch(pattern, place)
            if match and method == request.command:
                if method == "GET":
                    return self._page(act(*map(int, match.groups()), query), request.path, query)
                return self._refusal(place, body) or act(*map(int, match.groups()), body)
        return Answer(404, _error("Not Found", 404))

    def _refusal(self, place: str, body: Thing) -> Answer | None:
        needed = {"issues"} if place == "issues" else {"issues", "pull_requests"}
        if not needed & set(self.may):
            needs = {"X-Accepted-GitHub-Permissions": "; ".join(f"{name}=write" for name in sorted(needed))}
            return Answer(403, _error("Resource not accessible by integration", 403), needs)
        if len(str(body.get("body", "")).encode("utf-16-le")) > 2 * LIMIT:
            said = f"Body is too long (maximum is {LIMIT} characters)"
            error = {"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": said}
            return Answer(422, {**_error("Validation Failed", 422), "errors": [error]})
        return None

    def _page(self, answer: Answer, path: str, query: dict[str, str]) -> Answer:
        if not isinstance(answer.body, list):
            return answer
        size, page = int(query.get("per_page", "30")), int(query.get("page", "1"))
        shown = answer.body[(page - 1) * size : page * size]
        if page * size >= len(answer.body):
            return Answer(200, shown)
        other = re.sub(r"&page=\d+", "", path)
        return Answer(200, shown, {"Link": f'<{self.url}{other}&page={page + 1}>; rel="next"'})

    def _list_comments(self, number: int, _: dict[str, str]) -> Answer:
        if not self._has(number):
            return Answer(404, _error("Not Found", 404))
        return Answer(200, self.comments.get(number, []))

    def _add_comment(self, number: int, body: Thing) -> Answer:
        if not self._has(number):
            return Answer(404, _error("Not Found", 404))
        made = self._comment(number, body["body"], _user(BOT, "Bot"), "NONE")
        self.comments.setdefault(number, []).append(made)
        return Answer(201, made)

    def _change_comment(self, number: int, body: Thing) -> Answer:
        every = (comment for comments in self.comments.values() for comment in comments)
        found = next(comment for comment in every if comment["id"] == number)
        found["body"] = body["body"]
        return Answer(200, found)

    def _list_issues(self, query: dict[str, str]) -> Answer:
        wanted = set(query.get("labels", "").split(",")) - {""}
        state = query.get("state", "open")
        found = [
            issue
            for issue in self.issues
            if state in ("all", issue["state"]) and wanted <= {label["name"] for label in issue["labels"]}
        ]
        return Answer(200, found if query.get("direction") == "asc" else found[::-1])

    def _add_issue(self, body: Thing) -> Answer:
        made = self._issue(
            body["title"], body.get("body", ""), body.get("labels", []), _user(BOT, "Bot"), "NONE"
        )
        return Answer(201, made)

    def _change_issue(self, number: int, body: Thing) -> Answer:
        found = next(issue for issue in self.issues if issue["number"] == number)
        found.update(body)
        if body.get("state") == "closed":
            found["closed_at"] = WHEN
        return Answer(200, found)

    def _has(self, number: int) -> bool:
        return any(issue["number"] == number for issue in self.issues)

    def _comment(self, number: int, body: str, user: Thing, association: str) -> Thing:
        made = next(self._ids)
        return {
            "id": made,
            "node_id": f"C_{made}",
            "url": f"{self.url}/repos/{self.repository}/issues/comments/{made}",
            "html_url": f"https://github.com/{self.repository}/pull/{number}#issuecomment-{made}",
            "issue_url": f"{self.url}/repos/{self.repository}/issues/{number}",
            "body": body,
            "user": user,
            "author_association": association,
            "created_at": WHEN,
            "updated_at": WHEN,
        }

    def _issue(self, title: str, body: str, labels: list[str], user: Thing, association: str) -> Thing:
        number = len(self.issues) + 1
        address = f"{self.url}/repos/{self.repository}/issues/{number}"
        made = {
            "id": next(self._ids),
            "node_id": f"I_{number}",
            "number": number,
            "title": title,
            "body": body,
            "state": "open",
            "state_reason": None,
            "labels": [
                {"id": 1, "node_id": "L_1", "name": name, "color": "ededed", "default": False, "url": address}
                for name in labels
            ],
            "user": user,
            "author_association": association,
            "url": address,
            "repository_url": f"{self.url}/repos/{self.repository}",
            "labels_url": f"{address}/labels{{/name}}",
            "comments_url": f"{address}/comments",
            "events_url": f"{address}/events",
            "html_url": f"https://github.com/{self.repository}/issues/{number}",
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "locked": False,
            "comments": 0,
            "closed_at": None,
            "created_at": WHEN,
            "updated_at": WHEN,
        }
        self.issues.append(made)
        return made


def _error(message: str, status: int) -> Thing:
    return {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}


def _user(login: str, kind: str) -> Thing:
    url = f"https://api.github.com/users/{login}"
    addresses = (
        "followers",
        "following",
        "gists",
        "starred",
        "subscriptions",
        "organizations",
        "repos",
        "events",
        "received_events",
    )
    return {
        "login": login,
        "id": 41898282,
        "node_id": "U_1",
        "avatar_url": "https://avatars.githubusercontent.com/in/15368",
        "gravatar_id": "",
        "url": url,
        "html_url": f"https://github.com/{login}",
        **{f"{name}_url": f"{url}/{name}" for name in addresses},
        "type": kind,
        "site_admin": False,
    }
