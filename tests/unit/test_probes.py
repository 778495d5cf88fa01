"""Probes: one canonical line for each thing, and never a failure."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from components.unit import file_line, secret_file_line
from tests.fakes.release_host import needs_root

Bash = Callable[..., "subprocess.CompletedProcess[str]"]
LOGIN = "user:ghp_x@"  # what somebody may have written into a URL


def test_probe_file(bash: Bash, tmp_path: Path, me: str) -> None:
    (tmp_path / "file").write_text("content\n")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").mkdir()
    done = bash("probe_file $PWD/file $PWD/link $PWD/folder $PWD/gone")
    assert done.stdout.splitlines() == [
        file_line(f"{tmp_path}/file", me, "640", "content\n"),
        f"file {tmp_path}/link absent",
        f"file {tmp_path}/folder absent",
        f"file {tmp_path}/gone absent",
    ]
    assert hashlib.sha256(b"content\n").hexdigest() in done.stdout


def test_probe_file_prints_a_setgid_mode_in_full(bash: Bash, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(0o2755)
    assert " 2755 " in bash("probe_file file").stdout


def test_probe_directory(bash: Bash, tmp_path: Path, me: str) -> None:
    (tmp_path / "folder").mkdir(mode=0o750)
    (tmp_path / "folder").chmod(0o750)
    (tmp_path / "file").touch()
    assert bash("probe_directory folder file gone").stdout.splitlines() == [
        f"directory folder {me} 750",
        "directory file absent",
        "directory gone absent",
    ]


def test_probe_link(bash: Bash, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("../there")
    (tmp_path / "file").touch()
    assert bash("probe_link link file gone").stdout.splitlines() == [
        "link link -> ../there",
        "link file absent",
        "link gone absent",
    ]


def test_probe_entries_are_sorted(bash: Bash, tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    for name in ("b.conf", "B.conf", "a.conf", "readme"):
        (folder / name).touch()
    assert bash("probe_entries conf.d").stdout == "entries conf.d B.conf a.conf b.conf readme\n"
    assert bash("probe_entries conf.d '*.conf'").stdout == "entries conf.d B.conf a.conf b.conf\n"
    assert bash("probe_entries gone").stdout == "entries gone\n"


def test_probe_unknown(bash: Bash, tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    for name in ("a.conf", "b.conf", "other"):
        (folder / name).touch()
    (folder / "z.conf").symlink_to("nowhere")
    assert bash("probe_unknown conf.d '*.conf' a.conf b.conf z.conf").stdout == "unknown conf.d none\n"
    assert bash("probe_unknown conf.d '*.conf' a.conf").stdout == "unknown conf.d b.conf z.conf\n"
    assert bash("probe_unknown gone '*.conf' a.conf").stdout == "unknown gone none\n"


def test_probe_check(bash: Bash) -> None:
    done = bash("probe_check 'a check' true; probe_check 'a check' bash -c 'echo noise; exit 3'")
    assert done.stdout == "a check ok\na check failed\n"


def test_probe_user(bash: Bash) -> None:
    assert bash("probe_user root root nogroup-at-all").stdout.splitlines() == [
        "user root /root:/bin/bash",
        "user root in root",
        "user root not in nogroup-at-all",
    ]
    assert (
        bash("probe_user nobody-of-this-name x").stdout.splitlines()[0] == "user nobody-of-this-name absent"
    )


@pytest.mark.parametrize(
    ("memory", "disk", "lines"),
    [(0, 0, ["memory enough", "disk enough"]), (10**6, 10**6, [" of 1000000 GB", " of 1000000 GB"])],
)
def test_probe_host(bash: Bash, memory: int, disk: int, lines: list[str]) -> None:
    system, *found = bash(f"probe_host x y {memory} {disk}").stdout.splitlines()
    assert system.startswith("system ")
    assert all(line.endswith(end) for line, end in zip(found, lines, strict=True))


@pytest.mark.parametrize(("have", "enough"), [(31e9, True), (28.1e9, True), (27.8e9, False)])
def test_a_tenth_less_is_still_enough(bash: Bash, have: float, enough: bool) -> None:
    assert (bash(f"enough {have:.0f} 31").stdout == "enough\n") is enough


def test_probe_loaded(bash: Bash) -> None:
    """A process is current when it is younger than the file; a second is the finest that ps tells."""
    marker = f"itqan-test-{os.getpid()}"
    program = f"""
        bash -c 'exec -a {marker} sleep 20' & pid=$!
        wait_until 5 pgrep -x -f '{marker} 20'
        touch -d '10 seconds ago' old; touch -d '10 seconds' new
        probe_loaded it {marker} old; probe_loaded it {marker} old new; probe_loaded it {marker}-none old
        kill $pid
    """
    done = bash(program)
    assert done.stdout.splitlines() == ["loaded it current", "loaded it stale", "loaded it not running"], (
        done.stderr
    )


def test_probe_permissions(bash: Bash, tmp_path: Path, me: str) -> None:
    root = tmp_path / "app"
    for folder in ("public", "storage/logs", "bootstrap/cache", "node_modules/x", ".git"):
        (root / folder).mkdir(parents=True)
    for file in (
        "artisan",
        "public/index.php",
        "storage/logs/laravel.log",
        ".env",
        "node_modules/x/y",
        ".git/config",
    ):
        (root / file).touch()
    bash(
        "find app -exec chmod 755 {} +; find app/storage app/bootstrap/cache -type d -exec chmod 775 {} +"
        "; chmod 600 app/.env"
    )
    probe = f"probe_permissions app {me} 755 {me} 775 storage bootstrap/cache"
    assert bash(probe).stdout == "permissions as in the table\n"
    (root / "storage/logs/laravel.log").chmod(0o600)
    (root / "node_modules/x/y").chmod(0o600)
    assert bash(probe).stdout == "permissions as in the table\n"
    (root / "artisan").chmod(0o777)
    (root / "storage/logs").chmod(0o755)
    assert bash(probe).stdout == f"permissions wrong on 2 paths: artisan {me} 777; storage/logs {me} 755\n"
    assert bash("rm -r app/bootstrap/cache; " + probe).stdout.endswith("bootstrap/cache absent\n")
    assert bash("rm -r app; " + probe).stdout == "permissions absent\n"


def test_probe_release_and_checkout(bash: Bash) -> None:
    absent = bash("probe_release gone composer.json; probe_checkout gone").stdout.splitlines()
    assert absent[0] == "commit absent"
    assert absent[-2:] == ["checkout gone origin absent", "checkout gone fileMode true"]
    program = """
        git init -q app; cd app; git config user.name x; git config user.email x@y.z
        git config core.fileMode false; git remote add origin /srv/git/x.git
        touch composer.json; echo '*' >.git/info/exclude; git add -f composer.json
        git commit -q -m one; git rev-parse HEAD; cd ..
        mkdir -p app/vendor app/bootstrap/cache app/storage/framework/views
        dependencies_digest app >app/vendor/.itqan-digest
        echo x >app/bootstrap/cache/config.php
        touch app/bootstrap/cache/routes-v7.php app/storage/framework/views/a.php
        probe_release app composer.json; probe_checkout app
    """
    commit, *lines = bash(program).stdout.splitlines()
    assert lines == [
        f"commit {commit}",
        "changes none",
        "vendor current",
        "build current",
        "caches config routes views",
        "maintenance off",
        "checkout app origin /srv/git/x.git",
        "checkout app fileMode false",
    ]
    changed = bash(
        "touch app/storage/framework/down; echo x >app/composer.json; echo x >app/vendor/.itqan-digest"
        "; probe_release app composer.json"
    )
    assert changed.stdout.splitlines()[1:3] == ["changes 1", "vendor stale"]
    assert changed.stdout.splitlines()[-1] == "maintenance on"


def test_probe_package(bash: Bash) -> None:
    """bash itself is a package wherever these tests run; elsewhere everything is absent."""
    done = bash("probe_package bash bash=0.0.1 no-such-package")
    kind, wrong, absent = (line.split(" ", 2)[2] for line in done.stdout.splitlines())
    assert absent == "absent"
    assert (kind, wrong == "0.0.1") in {("installed", False), ("absent", False)}


def test_probe_withheld_names_held_packages_with_a_newer_candidate(bash: Bash) -> None:
    policy = "a:\\n  Installed: 1\\n  Candidate: 2\\nb:\\n  Installed: 1\\n  Candidate: 1\\n"
    held = "dpkg-query() { printf 'hold a\\nhold b\\ninstall c\\n'; }"
    cache = f"apt-cache() {{ [ \"${{*: -3}}\" = 'policy a b' ] && printf '{policy}'; }}"
    done = bash(f"{held}; {cache}; probe_withheld a b c")
    assert done.stdout == "a 2\n"
    assert bash("apt-cache() { echo asked; }; probe_withheld no-such-package").stdout == ""


def test_probe_held(bash: Bash) -> None:
    done = bash("dpkg-query() { printf 'hold b\\ninstall c\\nhold a\\n'; }; probe_held a b c")
    assert done.stdout == "held a b\n"
    assert bash("probe_held no-such-package").stdout == "held\n"


@pytest.mark.parametrize(
    ("version", "want", "state"),
    [
        ("1.18.0-6ubuntu14", "1.18.0", "1.18.0"),
        ("5:6.0.16-1ubuntu1", "6.0.16", "6.0.16"),
        ("1.18.0", "1.18.0", "1.18.0"),
        ("8.4.16+ubuntu22.04.1", "8.4", "8.4"),
        ("1.18.01-1", "1.18.0", "1.18.01-1"),
        ("11.18.0-1", "1.18.0", "11.18.0-1"),
    ],
)
def test_probe_package_compares_the_upstream_version(bash: Bash, version: str, want: str, state: str) -> None:
    done = bash(f"dpkg-query() {{ echo 'thing ii {version}'; }}; probe_package thing={want}")
    assert done.stdout == f"package thing {state}\n"


@pytest.mark.parametrize(
    "probe",
    [
        "probe_service x.service",
        "probe_listening 1",
        "probe_keyring gone",
        "probe_redis 127.0.0.1 1",
        "probe_lineage gone",
        "probe_served itqan.test gone",
        "probe_zone 192.0.2.1 itqan.test itqan.test A",
        "probe_chain gone",
        "probe_ref gone main",
        "probe_program gone",
        "probe_crontab nobody-of-this-name /srv/app",
    ],
)
def test_what_is_not_there_is_a_line_and_not_a_failure(bash: Bash, probe: str) -> None:
    done = bash(f"set +e; {probe}")
    assert done.stdout.strip()
    assert done.stderr == ""


DIG = """dig() {
    case "$*" in
        *"NS"*) printf '%s\\n' "${named[@]}" ;;
        *@ns2*) printf '%s\\n' "${second[@]}" ;;
        *) printf '%s\\n' 'a.test. 60 IN A 192.0.2.1' '*.a.test. 60 IN A 192.0.2.1' ;;
    esac
}
"""


@pytest.mark.parametrize(
    ("servers", "second", "seen"),
    [
        (
            "ns1. ns2.",
            "'a.test. 5 IN A 192.0.2.1' '*.a.test. 5 IN A 192.0.2.1'",
            ["*.a.test A 192.0.2.1", "a.test A 192.0.2.1"],
        ),
        (
            "ns1. ns2.",
            "'a.test. 60 IN A 192.0.2.9'",
            [
                "*.a.test A 192.0.2.1 at 1 of 2 name servers",
                "a.test A 192.0.2.1 at 1 of 2 name servers",
                "a.test A 192.0.2.9 at 1 of 2 name servers",
            ],
        ),
        ("ns1.", "", ["*.a.test A 192.0.2.1", "a.test A 192.0.2.1"]),
    ],
)
def test_probe_zone_says_what_not_every_name_server_has(
    bash: Bash, servers: str, second: str, seen: list[str]
) -> None:
    done = bash(f"{DIG}\nnamed=({servers}) second=({second})\nprobe_zone '' a.test a.test A '*.a.test' A")
    assert done.stdout.splitlines() == [f"record {line}" for line in seen]


def test_probe_zone_without_name_servers(bash: Bash) -> None:
    done = bash("dig() { echo ';; communications error'; return 9; }; set +e; probe_zone '' a.test a.test A")
    assert done.stdout == "zone a.test has no name server\n"


@pytest.mark.parametrize(
    ("issuer", "name"),
    [
        ("issuer=C = US, O = Let's Encrypt, CN = R13", "letsencrypt"),
        ("issuer=C=US, O=Let's Encrypt, CN=E8", "letsencrypt"),
        (
            "issuer=C=US, O=(STAGING) Let's Encrypt, CN=(STAGING) Counterfeit Cashew R10",
            "letsencrypt-staging",
        ),
        ("issuer=CN = Pebble Intermediate CA 1a2b3c", "pebble"),
        ("issuer=CN = somebody else", "CN = somebody else"),
    ],
)
def test_issuer_name_as_openssl_1_and_3_write_it(bash: Bash, issuer: str, name: str) -> None:
    assert bash(f"issuer_name {shlex.quote(issuer)}").stdout == f"{name}\n"


def test_probe_served_compares_what_is_shown_with_the_file(bash: Bash, tmp_path: Path) -> None:
    """Only the connection is another's: openssl still reads the certificates."""
    for name in ("one", "two"):
        made = f"openssl req -x509 -newkey ed25519 -nodes -keyout /dev/null -subj /CN={name}"
        bash(f"mkdir -p {name}; {made} -set_serial 0x1{name == 'two':d} -out {name}/cert.pem 2>/dev/null")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/timeout"
    program.write_text(
        "#!/bin/sh\ntest \"$3 $5 $6 $7\" = 's_client 127.0.0.1:443 -servername a.test' && cat shown\n"
    )
    program.chmod(0o755)
    moved = f'eval "$(declare -f probe_served | sed "s|/etc/letsencrypt/live|{tmp_path}|")"'
    probe = f"{moved}; set +e; probe_served a.test one"
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    assert bash(probe, PATH=path).stdout == "served a.test nothing\n"
    (tmp_path / "shown").write_bytes((tmp_path / "two/cert.pem").read_bytes())
    assert bash(probe, PATH=path).stdout == "served a.test another certificate, serial=11\n"
    (tmp_path / "shown").write_bytes((tmp_path / "one/cert.pem").read_bytes())
    assert bash(probe, PATH=path).stdout == "served a.test the certificate of one\n"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://{LOGIN}git.test/a.git", "https://(a token)@git.test/a.git"),
        (f"https://{LOGIN[5:]}git.test/a.git", "https://(a token)@git.test/a.git"),
        (f"ssh://{LOGIN}git.test/a.git", "ssh://(a token)@git.test/a.git"),
        ("ssh://git@git.test:22/a.git", "ssh://git@git.test:22/a.git"),
        ("git@git.test:a.git", "git@git.test:a.git"),
        ("https://git.test/a@b.git", "https://git.test/a@b.git"),
    ],
)
def test_an_origin_is_shown_without_its_token(bash: Bash, url: str, shown: str) -> None:
    done = bash(f"git init -q one; git -C one config remote.origin.url {url}; probe_checkout one")
    assert done.stdout.splitlines()[0] == f"checkout one origin {shown}"


def test_the_digest_of_a_secret_file_is_made_with_the_key(bash: Bash, tmp_path: Path, me: str) -> None:
    (tmp_path / "key").write_text("# key\n0123\n")
    (tmp_path / "file").write_text("password\n")
    (tmp_path / "file").chmod(0o600)
    moved = 'eval "$(declare -f probe_secret_file | sed "s|/etc/itqan/digest.key|key|")"'
    done = bash(f"{moved}; probe_secret_file file; probe_secret_file gone")
    expected = secret_file_line("file", me, "600", "password\n", "# key\n0123\n")
    assert done.stdout == f"{expected}\nfile gone absent\n"


def test_what_redis_is_asked_stands_on_its_standard_input(bash: Bash, tmp_path: Path) -> None:
    """Only the client is another one: it says what it got, an error of the first line included."""
    (tmp_path / "login").write_text('ECHO "managed"\nAUTH default "se cret"\n')
    client = (
        "redis-cli() { printf 'arguments %s\\n' \"$*\" >&2; printf 'WRONGPASS\\n\\nitqan\\n'; tail -n 1; }"
    )
    moved = 'eval "$(declare -f ask_redis | sed "s|/etc/itqan/redis.login|login|; s|2> */dev/null||")"'
    done = bash(f"{client}\n{moved}\nask_redis 127.0.0.1 6379 config get '*'")
    assert done.stdout == "config get *\n"
    assert done.stderr == "arguments -h 127.0.0.1 -p 6379\n"


def test_processes_count_that_may_have_read_another_configuration(bash: Bash, tmp_path: Path) -> None:
    (tmp_path / "bootstrap/cache").mkdir(parents=True)
    (tmp_path / "bootstrap/cache/config.php").touch()
    listed = "0 php-fpm: pool www\\n90 php-fpm: master\\n90 bash"
    working = "3 9000000 $PWD php8.4 artisan queue:work\\n4 9000000 $PWD vim"
    fakes = f"ps() {{ printf '{listed}\\n'; }}"
    fakes += f'; application_processes() {{ printf "{working}\\n"; }}'
    assert bash(f"{fakes}; probe_processes me $PWD").stdout == "processes with an older configuration 2\n"
    os.utime(tmp_path / "bootstrap/cache/config.php", (1, 1))
    assert bash(f"{fakes}; probe_processes me $PWD").stdout == "processes with an older configuration none\n"


@needs_root
def test_processes_of_an_earlier_release_are_seen(bash: Bash, tmp_path: Path) -> None:
    """Real ones: begun before the release, in another folder, in a deleted one, and one that is right."""
    root, old, gone = tmp_path / "app", tmp_path / ".app/1-old", tmp_path / ".app/2-gone"
    running = tmp_path / ".app/3-new"
    for folder in (old, gone, running / ".git"):
        folder.mkdir(parents=True)
    root.symlink_to(".app/3-new")
    command = ["bash", "-c", "while read; do :; done", "artisan queue:work"]
    probe = "probe_workers root $PWD/app"
    none = "processes of an earlier release none\n"

    def started(folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE)

    with started(running) as right:
        assert bash(probe).stdout == none
        with started(old) as other:
            assert bash(probe).stdout.count("\nprocess of an earlier release: bash -c") == 1
            other.kill()
        with started(gone) as deleted:
            gone.rmdir()
            assert "\nprocess in a deleted folder: bash" in bash(probe).stdout
            deleted.kill()
        assert bash(probe).stdout == none
        time.sleep(0.2)
        (running / ".git/released").touch()
        assert bash(probe).stdout.count("\nprocess of an earlier release: bash -c") == 1
        right.kill()


def test_login_keys_are_added_beside_the_old_one_and_removed(bash: Bash, tmp_path: Path) -> None:
    home = "getent() { echo x:x:x:x:x:$PWD:x; }"
    (tmp_path / ".ssh").mkdir()
    keys = tmp_path / ".ssh/authorized_keys"
    keys.write_text('ssh-rsa OTHER mine\nfrom="192.0.2.1" ssh-ed25519 OLD laptop')
    add = f"{home}; add_login_key 'ssh-ed25519 OLD' 'ssh-ed25519 NEW' one"
    for _ in range(2):
        assert bash(add).returncode == 0
        assert keys.read_text() == (
            'ssh-rsa OTHER mine\nfrom="192.0.2.1" ssh-ed25519 OLD laptop\nfrom="192.0.2.1" ssh-ed25519 NEW\n'
        )
    look = f"{home}; probe_added_key 'ssh-ed25519 OLD' 'ssh-ed25519 NEW' one"
    look += "; probe_login_keys 'ssh-ed25519 OLD' one"
    assert bash(look).stdout == "new key logs in where the old one does\nkey logs in as one\n"
    assert bash(f"{home}; remove_login_key 'ssh-ed25519 OLD' one").returncode == 0
    assert keys.read_text() == 'ssh-rsa OTHER mine\nfrom="192.0.2.1" ssh-ed25519 NEW\n'
    assert bash(look).stdout.endswith("key logs in as nobody\n")
