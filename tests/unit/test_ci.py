"""The pipelines' commands: GitHub's API, texts, what a preview's events say, units without secrets, drift."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.observation import State
from components.unit import Unit
from operations import branch
from operations.ci import drift as drift_module
from operations.ci import preview, production, smoke, texts, units
from operations.ci import staging as staging_module
from operations.ci.context import Context, PullRequest
from operations.ci.github import GitHub, GitHubError
from operations.ci.markdown import BODY_LIMIT, block, code, fitted, length, masked
from operations.ci.plan import BOTH, DRIFT, PROGRAM, Plan, planned
from operations.ci.preview import may_preview, preview_parts
from operations.ci.smoke import Check, Smoke
from operations.errors import ConfigurationError, OperationError
from operations.events import Record
from operations.report import Report
from operations.run import RunFailed
from operations.site import Site
from operations.steps import Steps
from settings import Settings, stack_file_config
from tests.conftest import ROOT, VARIANTS
from tests.fakes import github as fake_github
from tests.fakes.api import Fault

REPOSITORY, TOKEN = "itqan/platform", "ghs_token-of-the-tests"
MARK = "<!-- itqan:preview:prod -->"


@pytest.fixture
def api() -> Iterator[fake_github.GitHub]:
    with fake_github.GitHub(REPOSITORY, TOKEN) as made:
        yield made
        assert made.violations == []


@pytest.fixture
def waits() -> list[float]:
    """How long the client waited."""
    return []


@pytest.fixture
def client(api: fake_github.GitHub, waits: list[float]) -> GitHub:
    return GitHub(api.url, REPOSITORY, TOKEN, waits.append)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where whole texts are kept."""
    monkeypatch.setattr(texts, "FOLDER", tmp_path / "ci")
    return tmp_path / "ci"


class TestGitHub:
    def test_a_comment_is_made_once_and_then_changed(self, api: fake_github.GitHub, client: GitHub) -> None:
        number = api.open_pull_request()
        first = client.put_comment(number, MARK, f"{MARK}\none")
        assert client.put_comment(number, MARK, f"{MARK}\ntwo") == first
        assert api.texts(number) == [f"{MARK}\ntwo"]

    def test_it_is_found_on_a_later_page(self, api: fake_github.GitHub, client: GitHub) -> None:
        number = api.open_pull_request()
        for index in range(150):
            api.write_as_visitor(number, str(index))
        client.put_comment(number, MARK, f"{MARK}\none")
        client.put_comment(number, MARK, f"{MARK}\ntwo")
        assert api.texts(number)[150:] == [f"{MARK}\ntwo"]

    def test_a_visitors_comment_with_our_mark_is_not_ours(
        self, api: fake_github.GitHub, client: GitHub
    ) -> None:
        number = api.open_pull_request()
        api.write_as_visitor(number, f"{MARK}\nmine")
        client.put_comment(number, MARK, f"{MARK}\nours")
        assert api.texts(number) == [f"{MARK}\nmine", f"{MARK}\nours"]

    @pytest.mark.parametrize("done", [False, True])
    def test_a_lost_answer_makes_no_second_comment(
        self, api: fake_github.GitHub, client: GitHub, done: bool
    ) -> None:
        number = api.open_pull_request()
        api.faults.append(Fault(502, "POST", done=done))
        client.put_comment(number, MARK, f"{MARK}\none")
        assert api.texts(number) == [f"{MARK}\none"]

    def test_a_reading_is_repeated(self, api: fake_github.GitHub, client: GitHub, waits: list[float]) -> None:
        api.faults += [Fault(500, "GET"), Fault(503, "GET", content=b"<html>")]
        assert client.find_issue("x", MARK) is None
        assert waits == [1.0, 2.0]

    def test_a_server_that_stays_broken_is_one_line(self, api: fake_github.GitHub, client: GitHub) -> None:
        api.faults += [Fault(500)] * 4
        with pytest.raises(
            GitHubError, match=r"^GET .*/issues\?.*: 500: Error message; tried 4 times; repeat"
        ):
            client.find_issue("x", MARK)

    @pytest.mark.parametrize(
        ("status", "headers", "wait"),
        [
            (429, {"Retry-After": "7"}, 7.0),
            (403, {"Retry-After": "7"}, 7.0),
            (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, 1.0),
            (429, {}, 60.0),
        ],
    )
    def test_rate_limits_are_waited_for_with_writing_too(
        self,
        api: fake_github.GitHub,
        client: GitHub,
        waits: list[float],
        status: int,
        headers: dict[str, str],
        wait: float,
    ) -> None:
        number = api.open_pull_request()
        api.faults.append(Fault(status, "POST", headers))
        client.put_comment(number, MARK, MARK)
        assert waits == [wait]
        assert api.texts(number) == [MARK]

    def test_a_secondary_limit_is_known_by_its_words(
        self, api: fake_github.GitHub, client: GitHub, waits: list[float]
    ) -> None:
        said = b'{"message": "You have exceeded a secondary rate limit."}'
        api.faults += [Fault(403, content=said), Fault(403, content=said)]
        client.find_issue("x", MARK)
        assert waits == [60.0, 120.0]

    def test_a_long_limit_is_not_waited_for(
        self, api: fake_github.GitHub, client: GitHub, waits: list[float]
    ) -> None:
        api.faults.append(Fault(429, headers={"Retry-After": "3000"}))
        with pytest.raises(GitHubError, match="429"):
            client.find_issue("x", MARK)
        assert waits == []

    def test_a_wrong_token(self, api: fake_github.GitHub) -> None:
        with pytest.raises(
            GitHubError, match=r"401: Bad credentials; .*\$\{\{ github\.token \}\}\}$"
        ) as told:
            GitHub(api.url, REPOSITORY, "other").find_issue("x", MARK)
        assert "other" not in str(told.value)

    def test_a_token_that_may_not(self, api: fake_github.GitHub, client: GitHub) -> None:
        number = api.open_pull_request()
        api.may = ()
        with pytest.raises(
            GitHubError, match=r"403: Resource not .*; the job needs `permissions: pull-requests: write`$"
        ):
            client.put_comment(number, MARK, MARK)

    def test_what_is_not_there(self, client: GitHub) -> None:
        with pytest.raises(
            GitHubError, match=r"404: Not Found; there is no such thing in itqan/platform, or"
        ):
            client.put_comment(99, MARK, MARK)

    def test_what_is_not_taken(self, api: fake_github.GitHub, client: GitHub) -> None:
        number = api.open_pull_request()
        with pytest.raises(GitHubError, match=r"422: Validation Failed: Body is too long"):
            client.put_comment(number, MARK, "x" * (BODY_LIMIT + 1))

    def test_nobody_listens(self) -> None:
        with pytest.raises(GitHubError, match="no answer"):
            GitHub("http://127.0.0.1:9", REPOSITORY, TOKEN, lambda _: None).find_issue("x", MARK)

    def test_a_closed_issue_and_a_pull_request_are_not_found(self, client: GitHub) -> None:
        client.open_issue("drift", MARK, "title", MARK)
        found = client.find_issue("drift", MARK)
        assert found
        assert client.find_issue("other", MARK) is None
        client.close_issue(found.number)
        assert client.find_issue("drift", MARK) is None


class TestContext:
    def environment(self, tmp_path: Path, event: object) -> dict[str, str]:
        file = tmp_path / "event.json"
        file.write_text(json.dumps(event))
        return {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_EVENT_PATH": str(file),
            "GITHUB_RUN_ID": "7",
        }

    def event(self, head: object) -> dict[str, Any]:
        branch = {"ref": "feature/x", "sha": "a" * 40, "repo": head}
        return {
            "action": "opened",
            "pull_request": {"number": 3, "head": branch, "base": {"sha": "b" * 40}},
        }

    @pytest.mark.parametrize(
        ("head", "is_fork"),
        [({"full_name": REPOSITORY}, False), ({"full_name": "other/platform"}, True), (None, True)],
    )
    def test_a_pull_request(self, tmp_path: Path, head: object, is_fork: bool) -> None:
        environment = self.environment(tmp_path, self.event(head))
        context = Context.of(environment)
        assert context.pull_request
        assert (context.pull_request.number, context.pull_request.branch) == (3, "feature/x")
        assert context.pull_request.is_fork is is_fork
        assert context.run == f"https://github.com/{REPOSITORY}/actions/runs/7"
        assert "GITHUB_TOKEN" not in environment, "children would have it"

    def test_a_workflow_without_the_token_is_told_the_line(self, tmp_path: Path) -> None:
        environment = self.environment(tmp_path, {})
        del environment["GITHUB_TOKEN"]
        with pytest.raises(OperationError, match=r"env: \{GITHUB_TOKEN: \$\{\{ github\.token \}\}\}"):
            Context.of(environment)

    def test_a_terminal(self) -> None:
        assert Context.of({}) == Context()

    def test_a_state_that_would_be_lost_with_the_runner(self, tmp_path: Path) -> None:
        environment = {**self.environment(tmp_path, {}), "PULUMI_BACKEND_URL": ""}
        context = Context.of(environment)
        with pytest.raises(OperationError, match="PULUMI_BACKEND_URL is missing"):
            context.require_backend()
        Context.of({**environment, "GITHUB_TOKEN": TOKEN, "PULUMI_BACKEND_URL": "s3://x"}).require_backend()
        Context.of({}).require_backend()

    @pytest.mark.parametrize("head", [{"full_name": "other/platform"}, {"full_name": REPOSITORY}])
    @pytest.mark.parametrize("passphrase", ["", "words"])
    def test_only_with_the_passphrase_and_from_no_fork_is_production_previewed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: dict[str, str], passphrase: str
    ) -> None:
        monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", passphrase)
        monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
        context = Context.of(self.environment(tmp_path, self.event(head)))
        assert may_preview(context) is (head["full_name"] == REPOSITORY and bool(passphrase))


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("a", "`a`"),
            ("", ""),
            ("a | b", "`a \\| b`"),
            ("a `b` c", "``a `b` c``"),
            ("`a`", "`` `a` ``"),
            ("a\n@everyone", "`a @everyone`"),
        ],
    )
    def test_foreign_words_in_a_line(self, text: str, shown: str) -> None:
        assert code(text) == shown

    def test_foreign_words_in_a_block_cannot_end_it(self) -> None:
        assert block("a\n````\n@all", "diff") == "`````diff\na\n````\n@all\n`````"

    def test_what_fits_is_not_cut(self) -> None:
        assert fitted(["a", "", "b"], "… {}", 10) == "a\n\nb"

    @pytest.mark.parametrize("letter", ["x", "ق", "😀"])
    def test_the_rest_is_counted(self, letter: str) -> None:
        made = fitted(["head", *[letter * 900] * 200], "and {} more")
        assert made.startswith("head\n\n") and length(made) <= BODY_LIMIT
        kept = made.count("\n\n") - 1
        assert made.endswith(f"and {200 - kept} more")
        assert length(made) > BODY_LIMIT - 2000

    def test_a_first_part_that_is_too_long_is_cut_with_its_block_closed(self) -> None:
        made = fitted([block("line\n" * 50_000), "b"], "and {} more")
        assert length(made) <= BODY_LIMIT
        assert made.splitlines()[-3:] == ["```", "", "and 2 more"]

    def test_secrets_are_masked_line_by_line_too(self) -> None:
        key = "-----BEGIN KEY-----\nabcdefgh\nijklmnop\n-----END KEY-----\n"
        text = "password geheim$5#x, key ijklmnop, port 22, -----BEGIN KEY-----"
        assert masked(text, ["geheim$5#x", key, "22", ""]) == (
            "password ***, key ***, port 22, -----BEGIN KEY-----"
        )


def test_every_secret_of_a_configuration_is_known(
    config: Callable[..., dict[str, Any]], secrets: dict[str, str]
) -> None:
    known = texts.secret_values("prod", config("prod", environmentSecrets={"PAYMENT_KEY": "sk_live_1"}))
    assert {*secrets.values(), "sk_live_1"} <= set(known)
    copy = texts.secret_values(
        "staging-x", {**stack_file_config(ROOT / "Pulumi.staging.yaml"), "branch": "x", "branchSeed": "seed"}
    )
    assert len(copy) >= 10 and "seed" in copy


def metadata(operation: str, before: object, after: object, diffs: list[str] | None = None) -> dict[str, Any]:
    return {
        "op": operation,
        "urn": "urn:pulumi:prod::itqan::itqan:server:Nginx$command:remote:Command::nginx-site",
        "type": "command:remote:Command",
        "old": {"custom": True, "inputs": before} if before else None,
        "new": {"custom": True, "inputs": after} if after else None,
        "diffs": diffs,
    }


HEAL = "\n# healed 2 times; expected file /a 644, found 600"
HIDDEN = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"}


class TestPlan:
    def test_drift_is_a_new_comment_and_nothing_else(self) -> None:
        found = planned(metadata("update", {"update": "x"}, {"update": f"x{HEAL}"}, ["update"]))
        assert (found.cause, found.note, found.diffs) == (DRIFT, "expected file /a 644, found 600", {})

    def test_an_old_comment_is_no_drift(self) -> None:
        before, after = ({"create": word, "update": f"{word}{HEAL}"} for word in ("x", "y"))
        found = planned(metadata("update", before, after, ["create", "update"]))
        assert (found.cause, found.note) == (PROGRAM, "")
        assert found.diffs == {"probe, expected state, commands": "@@ -1 +1 @@\n-x\n+y"}

    def test_both(self) -> None:
        before, after = {"stdin": "a", "update": "x"}, {"stdin": "b", "update": f"x{HEAL}"}
        found = planned(metadata("update", before, after, ["stdin", "update"]))
        assert (found.cause, found.changed) == (BOTH, ("content",))

    def test_of_a_secret_only_that_it_changes(self) -> None:
        found = planned(metadata("update", {"stdin": HIDDEN}, {"stdin": HIDDEN}, ["stdin"]))
        assert (found.cause, found.changed, found.diffs) == (PROGRAM, ("content",), {})

    def test_a_secret_inside_of_a_value(self) -> None:
        before, after = ({"connection": {"host": name, "privateKey": HIDDEN}} for name in ("a", "b"))
        found = planned(metadata("update", before, after, ["connection"]))
        assert '-"host": "a"' in found.diffs["connection"].replace("- ", "-")
        assert "ciphertext" not in found.diffs["connection"]

    @pytest.mark.parametrize("operation", ["create", "delete", "replace"])
    def test_what_comes_and_goes_is_the_programs(self, operation: str) -> None:
        inputs = {"create": "x", "stdin": HIDDEN}
        before, after = {"create": (None, inputs), "delete": (inputs, None)}.get(operation, (inputs, inputs))
        assert planned(metadata(operation, before, after)).cause == PROGRAM

    def test_an_event_log_as_a_comment(self, tmp_path: Path) -> None:
        change = metadata("update", {"stdin": "a", "update": "x"}, {"stdin": "b", "update": "x"}, ["stdin"])
        group = {**metadata("update", {}, {}), "type": "itqan:server:Nginx", "new": {"custom": False}}
        same = metadata("same", {"stdin": "a"}, {"stdin": "a"})
        events = [
            {"resourcePreEvent": {"metadata": change}},
            {"resourcePreEvent": {"metadata": group}},
            {"resourcePreEvent": {"metadata": same}},
            {"resOutputsEvent": {"metadata": same}},
            {"diagnosticEvent": {"message": "not of this stack: x", "severity": "warning"}},
        ]
        file = tmp_path / "events"
        file.write_text("".join(f"{json.dumps(event)}\n" for event in events))
        text = "\n\n".join(preview_parts("prod", Plan.read(file), Context(), failed=False))
        assert "**1** by the program or its settings; 1 as they are." in text
        assert "| ~ | `Nginx nginx-site` | program | `content` |" in text
        assert "```\nnot of this stack: x\n```" in text
        assert "<details><summary>Nginx nginx-site</summary>" in text and "-a\n+b" in text

    def test_a_stack_that_is_not_ready_is_told_in_the_comment_too(
        self, monkeypatch: pytest.MonkeyPatch, api: fake_github.GitHub, client: GitHub
    ) -> None:
        def refuse(*_: object) -> None:
            raise OperationError("stack prod is not usable: itqan:id: missing")

        monkeypatch.setattr(preview, "ready_stack", refuse)
        monkeypatch.setattr(preview, "ready_engine", lambda _: None)
        monkeypatch.setattr(preview, "secrets_of", lambda *_: [])
        monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "words")
        number = api.open_pull_request()
        context = Context(
            client, PullRequest(number, "x", "a" * 40, "b" * 40, is_fork=False, is_closed=False)
        )
        with pytest.raises(OperationError, match="itqan:id: missing"):
            preview.preview_pull_request("prod", context, Steps())
        [text] = api.texts(number)
        assert "**The preview failed" in text and "itqan:id: missing" in text

    def test_nothing_and_a_failure(self) -> None:
        plan = Plan()
        assert "**Nothing.**" in preview_parts("prod", plan, Context(), failed=False)[0]
        plan.record.errors.append(("", "no host"))
        assert "**The preview failed" in preview_parts("prod", plan, Context(), failed=True)[0]


class TestUnits:
    @pytest.mark.parametrize("stack", ["prod", "staging"])
    def test_shipped_stacks_have_units_without_secrets(self, stack: str) -> None:
        found = units.plain_units(stack)
        assert found == units.plain_units(stack), "stand-ins are the same each time"
        assert len(found) > 40
        assert "(secret:databasePassword)" in found["release/env"]["content"]

    @pytest.mark.parametrize("name", VARIANTS)
    def test_every_kind_of_stack_does(
        self, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        base, changes = VARIANTS[name]
        config = {f"itqan:{key}": value for key, value in {"extends": base, **changes}.items()}
        (tmp_path / "Pulumi.x.yaml").write_text(json.dumps({"config": config}))
        monkeypatch.setattr(units, "stack_file", lambda name: tmp_path / f"Pulumi.{name}.yaml")
        assert len(units.plain_units("x")) > 40

    def test_what_differs(self) -> None:
        base = {"a": {"content": "1"}, "b": {"content": "1"}, "gone": {"probe": "x"}}
        head = {"new": {"probe": "x"}, "a": {"content": "2"}, "b": {"content": "1"}}
        assert [(item.sign, item.name) for item in units.differences(base, head)] == [
            ("+", "new"),
            ("~", "a"),
            ("−", "gone"),
        ]

    def test_a_wrong_setting_is_told(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "Pulumi.prod.yaml").write_text("config:\n  itqan:target: moon\n")
        monkeypatch.setattr(units, "stack_file", lambda name: tmp_path / f"Pulumi.{name}.yaml")
        with pytest.raises(ConfigurationError, match="itqan:target: 'moon'"):
            units.plain_units("prod")

    def test_the_base_is_the_first_parent_of_a_merge(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        def git(*words: str) -> str:
            command = ["git", "-c", "user.name=T", "-c", "user.email=t@localhost", *words]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
            return done.stdout.strip()

        monkeypatch.setattr(units, "ROOT", tmp_path)
        git("init", "-q", "-b", "main")
        git("commit", "-q", "--allow-empty", "-m", "base")
        with pytest.raises(OperationError, match="fetch-depth: 2"):
            units.base_commit(Context())
        base = git("rev-parse", "HEAD")
        git("checkout", "-q", "-b", "head")
        git("commit", "-q", "--allow-empty", "-m", "head")
        git("checkout", "-q", "main")
        git("merge", "-q", "--no-ff", "-m", "merge", "head")
        assert units.base_commit(Context()) == base


@pytest.fixture
def report(staging: Settings) -> Report:
    """A host on which one of two units differs."""
    good = Unit("nginx/service", "", "service nginx enabled active", "")
    bad = Unit("nginx/site", "", "file /a root:root 644 sha256:1", "")
    states = [State(good, good.expect), State(bad, "file /a root:root 600 sha256:1")]
    return Report(
        stack=staging.stack,
        accepted={},
        host="root@h port 22",
        seconds=0.4,
        states=states,
        unknown=[],
        obstacles=[],
        findings=[],
        substitutions=[],
        set_command=staging.set_command,
    )


def well(report: Report) -> Report:
    return replace(report, states=report.states[:1])


class TestDrift:
    @pytest.fixture
    def night(
        self, monkeypatch: pytest.MonkeyPatch, client: GitHub
    ) -> Callable[[Report | OperationError], bool]:
        """A function: one night on which the audit finds something."""

        def watch(found: Report | OperationError) -> bool:
            def answer(*_: object) -> Report:
                if isinstance(found, OperationError):
                    raise found
                return found

            monkeypatch.setattr(drift_module, "audit_stack", answer)
            monkeypatch.setattr(drift_module, "ready_engine", lambda _: None)
            monkeypatch.setattr(drift_module, "secrets_of", lambda *_: ["sha256:1"])
            return drift_module.watch("prod", Context(github=client), Steps())

        return watch

    def test_one_issue_is_opened_updated_and_closed(
        self,
        api: fake_github.GitHub,
        night: Callable[[Report | OperationError], bool],
        report: Report,
    ) -> None:
        assert night(report) is False
        [issue] = api.issues
        assert issue["state"] == "open" and [label["name"] for label in issue["labels"]] == ["itqan-drift"]
        assert "`nginx/site` | differs" in issue["body"] and "./itqan up --stack staging" in issue["body"]
        assert night(report) is False
        assert api.texts(1) == [], "the same drift is not told twice"
        worse = replace(report, states=[State(report.states[0].unit, "absent"), *report.states[1:]])
        assert night(worse) is False
        assert len(api.texts(1)) == 1 and "nginx/service" in api.issues[0]["body"]
        assert night(well(report)) is True
        assert api.issues[0]["state"] == "closed" and "as expected again" in api.texts(1)[1]
        assert night(well(report)) is True
        assert night(report) is False
        assert [found["state"] for found in api.issues] == ["closed", "open"]

    def test_with_the_observers_key_nothing_else_is_needed(
        self, monkeypatch: pytest.MonkeyPatch, report: Report, tmp_path: Path
    ) -> None:
        asked: list[Path] = []

        def look(_: str, key: Path) -> Report:
            asked.append(key)
            return report

        monkeypatch.setattr(drift_module, "audit_with_key", look)
        monkeypatch.delattr(drift_module, "ready_engine")
        context = Context(summary_file=tmp_path / "summary.md", has_backend=False)
        assert drift_module.watch("prod", context, Steps(), Path("-")) is False
        assert asked == [Path("-")] and "nginx/site" in (tmp_path / "summary.md").read_text()

    def test_a_host_out_of_reach_is_an_issue_and_closes_none(
        self,
        api: fake_github.GitHub,
        night: Callable[[Report | OperationError], bool],
        report: Report,
    ) -> None:
        night(report)
        with pytest.raises(OperationError, match="no route"):
            night(OperationError("no route to the host"))
        [issue] = api.issues
        assert issue["state"] == "open" and "no route to the host" in issue["body"]


class TestProduction:
    def test_each_of_the_three_is_told_whatever_comes_of_the_first(
        self, monkeypatch: pytest.MonkeyPatch, report: Report, tmp_path: Path
    ) -> None:
        def broken(*_: object) -> None:
            raise OperationError("the host is left alone:\nsystem: Arch")

        tried = Smoke("prod", [Check("WebSocket handshake", False, "404"), Check("/up", True, "200")])
        monkeypatch.setattr(production, "ready_stack", broken)
        monkeypatch.setattr(production, "ready_engine", lambda _: None)
        monkeypatch.setattr(production, "secrets_of", lambda *_: [])
        monkeypatch.setattr(production, "audit_stack", lambda *_: report)
        monkeypatch.setattr(production, "smoke", lambda *_: tried)
        summary = tmp_path / "summary.md"
        with pytest.raises(OperationError) as told:
            production.release("prod", Context(summary_file=summary), Steps())
        assert str(told.value).splitlines()[1:] == [
            "  up: the host is left alone:",
            "  audit: itqan staging, root@h port 22: 2 units in 0.40 s, 1 not as expected, no findings",
            "  smoke tests: WebSocket handshake: 404",
        ]
        text = summary.read_text()
        assert "### `prod` is not well" in text and "system: Arch" in text
        assert "| ✗ | WebSocket handshake | `404` |" in text and "| ✓ | /up | `200` |" in text


class TestStaging:
    @pytest.fixture
    def told(
        self, monkeypatch: pytest.MonkeyPatch, api: fake_github.GitHub, client: GitHub
    ) -> Callable[[OperationError], str]:
        """A function: the comment of a pull request whose copy does not come up for a reason."""

        def tell(reason: OperationError) -> str:
            def refuse(*_: object) -> None:
                raise reason

            monkeypatch.setattr(branch, "bring_up", refuse)
            monkeypatch.setattr(staging_module, "ready_engine", lambda _: None)
            monkeypatch.setattr(staging_module, "secrets_of", lambda *_: ["geheim-1"])
            number = api.open_pull_request()
            request = PullRequest(number, "x", "a" * 40, "b" * 40, is_fork=False, is_closed=False)
            try:
                staging_module.follow(None, Context(client, request), Steps())
            finally:
                [text] = api.texts(number)
            return text

        return tell

    def test_an_application_without_that_branch_is_no_failure(
        self, told: Callable[[OperationError], str]
    ) -> None:
        reason = ConfigurationError("branch x: git@host:app.git has no such branch; it has main")
        assert "No copy: the application's repository has no branch" in told(reason)

    def test_a_copy_that_does_not_come_up_is_told_with_what_the_engine_said(
        self, told: Callable[[OperationError], str], api: fake_github.GitHub
    ) -> None:
        record = Record(errors=[("Nginx nginx-site", "nginx: geheim-1 is no directive")])
        with pytest.raises(RunFailed):
            told(RunFailed("stack staging-x is not up", record, ""))
        assert "Nginx nginx-site: nginx: *** is no directive" in api.texts(1)[0]


class TestSmoke:
    def test_a_site_that_nobody_serves(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(smoke, "PATIENCE", 0.0)
        monkeypatch.setattr(smoke, "ready_engine", lambda _: None)
        monkeypatch.setattr(smoke, "site_of", lambda *_: Site("x.test", "127.0.0.2", "", "/app/k"))
        tried = smoke.smoke("prod", Steps())
        assert len(tried.failed) == len(tried.checks) == 5
        assert "Connection refused" in tried.table()
        assert json.loads(tried.to_json())["checks"][0]["passed"] is False
