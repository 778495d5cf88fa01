"""Applies: a file is replaced in one step, or stays; nothing unknown is deleted; waiting has an end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

Bash = Callable[..., "subprocess.CompletedProcess[str]"]


def names(folder: Path) -> list[str]:
    """What is in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


def test_place_makes_the_file_and_its_folder(bash: Bash, tmp_path: Path, me: str) -> None:
    done = bash(f'place "$PWD/etc/new/file" {me} 640', "content\n")
    path = tmp_path / "etc/new/file"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("content\n", 0o640)
    assert names(path.parent) == ["file"]


def test_place_keeps_every_byte(bash: Bash, tmp_path: Path, me: str) -> None:
    content = "no newline at the end, \\ $x `y` %s\n\n\n\tإتقان"
    bash(f"place $PWD/file {me} 644", content)
    assert (tmp_path / "file").read_text() == content


def test_place_keeps_the_new_file_when_the_test_accepts_it(bash: Bash, tmp_path: Path, me: str) -> None:
    (tmp_path / "file").write_text("# managed by itqan\n")
    done = bash(f"place $PWD/file {me} 600 grep -q new $PWD/file", "new\n")
    assert done.returncode == 0
    assert (tmp_path / "file").read_text() == "new\n"
    assert names(tmp_path) == ["file"]


def test_place_brings_the_old_file_back_when_the_test_refuses(bash: Bash, tmp_path: Path, me: str) -> None:
    path = tmp_path / "file"
    path.write_text("# managed by itqan\n")
    path.chmod(0o604)
    before = path.stat()
    done = bash(f"place $PWD/file {me} 600 bash -c 'echo the reason; exit 3'", "new\n")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "the reason\n" in done.stderr
    assert f"itqan: {path}: refused by `bash -c echo the reason; exit 3`" in done.stderr
    assert (path.read_text(), path.stat().st_mode, path.stat().st_mtime_ns) == (
        "# managed by itqan\n",
        before.st_mode,
        before.st_mtime_ns,
    )
    assert names(tmp_path) == ["file"]


def test_place_leaves_nothing_when_there_was_nothing_and_the_test_refuses(
    bash: Bash, tmp_path: Path, me: str
) -> None:
    assert bash(f"place $PWD/file {me} 600 false", "new\n").returncode == 1
    assert names(tmp_path) == []


def test_place_leaves_the_file_alone_when_the_new_one_cannot_be_written(bash: Bash, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old\n")
    done = bash("place $PWD/file nobody-of-this-name:nogroup 600", "new\n")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert (tmp_path / "file").read_text() == "old\n"
    assert names(tmp_path) == ["file"]


def test_place_replaces_a_link_and_not_what_it_points_to(bash: Bash, tmp_path: Path, me: str) -> None:
    (tmp_path / "target").write_text("target\n")
    (tmp_path / "file").symlink_to("target")
    bash(f"place $PWD/file {me} 644", "new\n")
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "target").read_text() == "target\n"


def test_place_is_never_half_done_for_a_reader(bash: Bash, tmp_path: Path, me: str) -> None:
    (tmp_path / "file").write_text("old\n")
    done = bash(f"(sleep 0.2; echo new) | place $PWD/file {me} 644 & sleep 0.1; cat file; wait; cat file")
    assert done.stdout == "old\nnew\n"


def test_place_keeps_a_copy_of_what_somebody_else_wrote(bash: Bash, tmp_path: Path, me: str) -> None:
    (tmp_path / "file").write_text("by hand\n")
    for _ in range(2):
        assert bash(f"place $PWD/file {me} 644", "# managed by itqan\n").returncode == 0
    assert [path.read_text() for path in (tmp_path / "aside").iterdir()] == ["by hand\n"]


def test_after_a_kill_before_the_test_the_last_good_file_comes_back(
    bash: Bash, tmp_path: Path, me: str
) -> None:
    (tmp_path / "file").write_text("# managed by itqan, good\n")
    bash(f"place $PWD/file {me} 644 bash -c 'kill -9 $PPID'", "# managed by itqan, bad\n")
    assert (tmp_path / "file").read_text() == "# managed by itqan, bad\n"
    assert bash(f"place $PWD/file {me} 644 false", "# managed by itqan, worse\n").returncode == 1
    assert (tmp_path / "file").read_text() == "# managed by itqan, good\n"


def test_set_aside_moves_and_never_deletes(bash: Bash, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same name").write_text(f"{folder}\n")
    done = bash('set_aside "one/same name" gone "two/same name"')
    assert done.returncode == 0
    kept = sorted(path.read_text() for path in (tmp_path / "aside").iterdir())
    assert kept == ["one\n", "two\n"]
    assert "one/same name is not of this stack: moved to" in done.stderr
    assert names(tmp_path / "one") == []


def test_set_aside_takes_a_dangling_link(bash: Bash, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    assert bash("set_aside link").returncode == 0
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize(
    ("glob", "keep", "left"),
    [
        ("*.conf", "a.conf b.conf", [".hidden.conf", "a.conf", "b.conf", "readme"]),
        ("*.conf", "b.conf", [".hidden.conf", "b.conf", "readme"]),
        ("*", "a.conf", [".hidden.conf", "a.conf"]),
        ("*.none", "x", [".hidden.conf", "a.conf", "b.conf", "c.conf", "readme"]),
    ],
)
def test_keep_only(bash: Bash, tmp_path: Path, glob: str, keep: str, left: list[str]) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    for name in ("a.conf", "b.conf", "c.conf", "readme", ".hidden.conf"):
        (folder / name).touch()
    assert bash(f"keep_only $PWD/conf.d '{glob}' {keep}").returncode == 0
    assert names(folder) == left


@pytest.mark.parametrize("glob", ["*.conf", "*"])
def test_what_keep_only_leaves_is_what_probe_entries_expects(bash: Bash, tmp_path: Path, glob: str) -> None:
    """Otherwise a hidden file would be drift that no apply ever takes away."""
    folder = tmp_path / "conf.d"
    folder.mkdir()
    for name in ("keep.conf", "x.conf", ".x.conf.swp", ".hidden.conf"):
        (folder / name).touch()
    done = bash(f"keep_only $PWD/conf.d '{glob}' keep.conf; probe_entries $PWD/conf.d '{glob}'")
    assert done.stdout == f"entries {folder} keep.conf\n"


def test_wait_until_ends_when_the_command_succeeds(bash: Bash) -> None:
    started = time.monotonic()
    done = bash("(sleep 0.3; touch there) & wait_until 10 test -e there && echo seen")
    assert (done.returncode, done.stdout) == (0, "seen\n")
    assert time.monotonic() - started < 3


def test_wait_until_ends_at_the_deadline(bash: Bash) -> None:
    started = time.monotonic()
    done = bash("if wait_until 1 false; then echo seen; else echo late; fi")
    assert done.stdout == "late\n"
    assert 0 < time.monotonic() - started < 4


def test_wait_until_says_nothing(bash: Bash) -> None:
    done = bash("wait_until 0 bash -c 'echo out; echo err >&2; exit 1' || true")
    assert (done.stdout, done.stderr) == ("", "")


RELOADED = """
    marker=itqan-test-$$
    start() { bash -c "exec -a $marker sleep 20" </dev/null >/dev/null 2>&1 & echo $! >>pids; }
    trap 'xargs -r -a pids kill' EXIT
    touch pids
    touch -d '10 seconds ago' file
"""


@pytest.mark.parametrize("before", ["true", "start; wait_until 5 pgrep -f ^$marker"], ids=["down", "running"])
def test_reload_service_waits_for_a_new_process(bash: Bash, before: str) -> None:
    program = "systemctl() { (sleep 0.3; start) & }; reload_service it $marker file; wc -l <pids"
    done = bash(f"{RELOADED}\n{before}\n{program}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == ("1" if before == "true" else "2")


def test_reload_service_refuses_when_the_reload_fails(bash: Bash) -> None:
    done = bash(f"{RELOADED}\nstart\nsystemctl() {{ return 5; }}\nreload_service it $marker file; echo never")
    assert done.returncode != 0
    assert done.stdout == ""


def test_refuse_is_one_line_and_exit_1(bash: Bash) -> None:
    done = bash("refuse 'no such thing'; echo never")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "itqan: no such thing\n")


def test_preflight_says_all_that_is_wrong_at_once(bash: Bash) -> None:
    done = bash("preflight d system=plan9/4 memory=100000 disk=2000000 architecture=vax")
    assert done.returncode == 1
    refusal, *problems = done.stderr.splitlines()
    assert refusal.endswith("nothing was changed:")
    assert [line.partition(":")[0] for line in problems] == [
        "  - architecture",
        "  - disk",
        "  - memory",
        "  - operating system",
    ]
    assert "itqan:server.minimumMemoryGb asks for 100000 GB" in done.stderr


def test_ensure_login_key_adds_one_line_and_no_second(bash: Bash, tmp_path: Path, me: str) -> None:
    home = f"getent() {{ echo x:x:x:x:x:$PWD:x; }}; user={me.partition(':')[0]}; "
    bash(f"{home} mkdir -m 700 .ssh; echo 'ssh-rsa AAAA other' >.ssh/authorized_keys")
    for _ in range(2):
        done = bash(
            f"{home} ensure_login_key $user 'ssh-ed25519 BBBB'; probe_login_key $user 'ssh-ed25519 BBBB'"
        )
        assert done.stdout.endswith(" present\n"), done.stderr
    keys = tmp_path / ".ssh/authorized_keys"
    assert keys.read_text() == "ssh-rsa AAAA other\nssh-ed25519 BBBB\n"
    assert keys.stat().st_mode & 0o777 == 0o600


RENEWAL = """version = 1.21.0
archive_dir = /etc/letsencrypt/archive/site
fullchain = /etc/letsencrypt/live/site/fullchain.pem

# Options used in the renewal process
[renewalparams]
account = 0123456789abcdef
authenticator = nginx
manual_auth_hook = /root/by-hand
server = https://acme.test/dir
[[webroot_map]]
itqan.test = /var/www
"""


@pytest.mark.parametrize("provider", ["hostinger", "rfc2136", "manual"])
def test_set_renewal_changes_who_answers_and_nothing_else(bash: Bash, tmp_path: Path, provider: str) -> None:
    conf = tmp_path / "renewal/site.conf"
    conf.parent.mkdir()
    conf.write_text(RENEWAL)
    conf.chmod(0o600)
    assert certbots(bash, tmp_path, f"set_renewal site {provider} 30").returncode == 0
    lines = conf.read_text().splitlines()
    answers = {
        "rfc2136": [
            "authenticator = dns-rfc2136",
            f"dns_rfc2136_credentials = {tmp_path}/rfc2136.ini",
            "dns_rfc2136_propagation_seconds = 30",
        ]
    }
    by_hook = [
        "authenticator = manual",
        "pref_challs = dns-01,",
        "manual_auth_hook = /usr/local/sbin/itqan-dns present",
        "manual_cleanup_hook = /usr/local/sbin/itqan-dns withdraw",
    ]
    start = lines.index("[renewalparams]") + 1
    wanted = answers.get(provider, by_hook)
    assert lines[start : start + len(wanted)] == wanted
    del lines[start : start + len(wanted)]
    assert lines == [line for line in RENEWAL.splitlines() if not line.startswith(("authen", "manual_"))]
    assert conf.stat().st_mode & 0o777 == 0o600
    before = conf.read_text()
    certbots(bash, tmp_path, f"set_renewal site {provider} 30")
    assert conf.read_text() == before


def certbots(bash: Bash, folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run lines with certbot's functions working in a folder in the place of /etc/letsencrypt."""
    names = (
        "set_renewal certificate_is_right probe_lineage request_certificate challenge_words "
        "issue_certificate order_certificate probe_links mend_lineage newest_whole"
    )
    edit = f"s|/etc/letsencrypt|{folder}|g; s|/usr/local/sbin/itqan-dns check|client check|"
    moved = f'for name in {names}; do eval "$(declare -f $name | sed "{edit}")"; done'
    return bash(f"client() {{ true; }}\n{moved}\n{program}")


def make_certificate(folder: Path, issuer: str, days: int, age: int = 0) -> None:
    """A lineage `site` for itqan.test and its wildcard that began `age` days ago and ends in `days`."""
    key = Ed25519PrivateKey.generate()
    name, by = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in ("itqan.test", issuer)
    )
    now = datetime.now(timezone.utc)
    names = x509.SubjectAlternativeName([x509.DNSName("itqan.test"), x509.DNSName("*.itqan.test")])
    builder = x509.CertificateBuilder(
        issuer_name=by,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=age, hours=1),
        not_valid_after=now + timedelta(days=days),
    ).add_extension(names, critical=False)
    live = folder / "live/site"
    live.mkdir(parents=True)
    certificate = builder.sign(key, None).public_bytes(Encoding.PEM)
    for item in ("cert", "privkey", "chain", "fullchain"):
        (live / f"{item}.pem").write_bytes(certificate)
    (folder / "renewal").mkdir()
    (folder / "renewal/site.conf").write_text(RENEWAL)


ISSUE = "issue_certificate site itqan.test a@itqan.test {server} hostinger 1 {issuer}"
# what certbot would be asked, in the place of asking an authority
CERTBOT = "certbot() { printf '%s\n' \"$@\" >asked; }; fetch() { true; }"


@pytest.mark.parametrize(
    ("days", "age", "issuer", "server", "asked"),
    [
        (89, 1, "R13", "https://acme.test/dir", False),
        (29, 61, "R13", "https://acme.test/dir", False),
        (27, 63, "R13", "https://acme.test/dir", True),
        (14, 31, "R13", "https://acme.test/dir", False),  # of 45 days
        (12, 33, "R13", "https://acme.test/dir", True),
        (-1, 91, "R13", "https://acme.test/dir", True),
        (89, 1, "R13", "https://acme-staging.test/dir", True),
        (89, 1, "(STAGING) R13", "https://acme.test/dir", True),
    ],
)
def test_a_valid_certificate_is_not_asked_for_again(
    bash: Bash, tmp_path: Path, days: int, age: int, issuer: str, server: str, asked: bool
) -> None:
    make_certificate(tmp_path, f"Let's Encrypt {issuer}", days, age)
    issue = ISSUE.format(server=server, issuer="letsencrypt")
    done = certbots(bash, tmp_path, f"{CERTBOT}\n{issue}")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "asked").exists() is asked
    if not asked:
        assert "authenticator = manual" in (tmp_path / "renewal/site.conf").read_text()


def test_what_cannot_be_answered_is_not_asked_for(bash: Bash, tmp_path: Path) -> None:
    issue = ISSUE.format(server="https://acme.test/dir", issuer="''")
    done = certbots(bash, tmp_path, f"{CERTBOT}\nclient() {{ say 'itqan-dns: 401'; return 1; }}\n{issue}")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "itqan-dns: 401",
        "itqan: itqan.test: no certificate is asked for before that is settled",
    ]
    assert not (tmp_path / "asked").exists()


def test_an_authority_that_the_settings_do_not_know_is_not_judged(bash: Bash, tmp_path: Path) -> None:
    make_certificate(tmp_path, "Somebody", 80, 10)
    issue = ISSUE.format(server="https://acme.test/dir", issuer="''")
    assert certbots(bash, tmp_path, f"{CERTBOT}\n{issue}").returncode == 0
    assert not (tmp_path / "asked").exists()


def test_what_certbot_is_asked_with_hooks(bash: Bash, tmp_path: Path) -> None:
    issue = ISSUE.format(server="https://acme.test/dir", issuer="''")
    certbots(bash, tmp_path, f"{CERTBOT}\n{issue}")
    asked = (tmp_path / "asked").read_text().splitlines()
    assert "--manual" in asked and asked[asked.index("--preferred-challenges") + 1] == "dns"
    assert asked[asked.index("--manual-auth-hook") + 1] == "/usr/local/sbin/itqan-dns present"
    assert asked[asked.index("--manual-cleanup-hook") + 1] == "/usr/local/sbin/itqan-dns withdraw"
    assert "--dns-rfc2136" not in asked


def test_by_hand_the_record_is_shown_while_certbot_waits(bash: Bash, tmp_path: Path) -> None:
    hook = "certbot() { echo 'itqan-dns: enter this' >>challenges; wait_until 5 grep -q this said; }"
    issue = ISSUE.format(server="https://acme.test/dir", issuer="''").replace("hostinger", "manual")
    moved = 'eval "$(declare -f request_certificate | sed s,/run/itqan,.,g)"'
    certbots(bash, tmp_path, f"fetch() {{ true; }}\n{hook}\n{moved}\n{issue} 2>said && echo done >end")
    assert (tmp_path / "said").read_text() == "itqan-dns: enter this\n"
    assert (tmp_path / "end").exists()


def test_ensure_directory(bash: Bash, tmp_path: Path, me: str) -> None:
    bash(f"ensure_directory $PWD/a/b {me} 750")
    assert (tmp_path / "a/b").stat().st_mode & 0o7777 == 0o750


def test_an_account_of_somebody_else_is_left_alone(bash: Bash) -> None:
    program = """
    getent() { printf '%s:x:1000:1000:Olga:/home/olga:/bin/bash\\n' "$2"; }
    useradd() { echo "useradd $*"; }
    usermod() { echo "usermod $*"; }
    ensure_locked_account itqan-observer 'itqan observer' /lib/home /lib/home/shell"""
    refused = bash(program)
    assert refused.returncode == 1
    assert "account itqan-observer is not of this stack (its comment is `Olga`)" in refused.stderr
    assert refused.stdout == ""
    ours = bash(program.replace("Olga", "itqan observer"))
    assert ours.stdout == "usermod -d /lib/home -s /lib/home/shell -p * -G  itqan-observer\n"
    new = bash(program.replace("printf '%s:x", "false; return 2; printf '%s:x"))
    assert new.stdout.startswith("useradd --system --no-create-home -c itqan observer -d /lib/home")


# A database server that keeps what it is told: `tables` says whether it has any.
SERVER = """
sql() { printf '%s\\n' "$1" >>asked; if [[ $1 = SELECT* ]]; then cat tables 2>/dev/null; fi; true; }
mysql() { cat >>loaded; echo 1 >tables; ! [ -e broken ]; }
"""


def load(bash: Bash, source: str) -> subprocess.CompletedProcess[str]:
    """Loads a dump into the schema `shop`."""
    return bash(f"{SERVER}load_dump shop utf8mb4 /etc/client.cnf {source}; probe_data shop")


@pytest.mark.parametrize(
    ("name", "pack"), [("x.sql", "cat"), ("x.sql.gz", "gzip -c"), ("x.sql.zst", "zstd -qc")]
)
def test_a_dump_is_unpacked_by_its_ending(bash: Bash, tmp_path: Path, name: str, pack: str) -> None:
    if bash(f"command -v {pack.split()[0]}").returncode:
        pytest.skip(f"{pack.split()[0]} is not here")
    bash(f"printf 'CREATE TABLE a' | {pack} >{name}")
    assert load(bash, f"$PWD/{name}").stdout == "data of shop present\n"
    assert (tmp_path / "loaded").read_text() == "CREATE TABLE a"
    assert "DROP" not in (tmp_path / "asked").read_text()


def test_a_dump_that_broke_off_is_loaded_anew(bash: Bash, tmp_path: Path) -> None:
    (tmp_path / "x.sql").write_text("CREATE TABLE a;\n")
    (tmp_path / "broken").touch()
    done = load(bash, "$PWD/x.sql")
    assert done.returncode == 1
    assert "x.sql: the dump was not loaded to its end" in done.stderr
    assert bash(f"{SERVER}probe_data shop").stdout == "data of shop loaded in part\n"
    (tmp_path / "broken").unlink()
    assert load(bash, "$PWD/x.sql").stdout == "data of shop present\n"
    asked = (tmp_path / "asked").read_text()
    assert "DROP DATABASE `shop`; CREATE DATABASE `shop` CHARACTER SET utf8mb4" in asked


def test_a_database_without_tables_has_no_data(bash: Bash) -> None:
    assert bash(f"{SERVER}probe_data shop").stdout == "data of shop none\n"


def test_a_copy_that_was_made_without_its_dump_says_what_to_do(bash: Bash) -> None:
    done = load(bash, "/nowhere/x.sql")
    assert done.returncode == 1
    assert "/nowhere/x.sql: this copy was made without its dump; take it down" in done.stderr
