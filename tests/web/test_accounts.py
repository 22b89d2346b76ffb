"""Users, tokens, one-time passwords, and those who guess."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from lockd.commands.main import main
from lockd.errors import StoreError
from lockd.remote.roles import Role
from lockd.web import totp
from lockd.web.accounts import FILE, AccountError, Accounts, User
from lockd.web.guesses import FIRST_S, FORGOTTEN_S, FREE, LONGEST_S, Guesses
from lockd.web.sessions import Sessions
from tests.web.house import PASSWORD

RFC6238 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
ADA = User("ada", Role.ADMINISTRATOR, "hash")


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    made = Accounts(tmp_path)
    made.add_user("ada", PASSWORD, Role.ADMINISTRATOR)
    return made


class TestAccounts:
    def test_only_the_right_password_is_somebodys(self, accounts: Accounts) -> None:
        assert accounts.checked("ada", PASSWORD) is not None
        assert accounts.checked("ada", PASSWORD + " ") is None
        assert accounts.checked("eve", PASSWORD) is None

    def test_neither_password_nor_token_is_in_the_file(
        self, accounts: Accounts, tmp_path: Path
    ) -> None:
        token = accounts.add_token("heating", Role.VIEWER)
        content = (tmp_path / FILE).read_text()
        assert PASSWORD not in content
        assert token not in content
        assert "$argon2id$" in content
        assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600

    def test_a_token_is_its_owners_until_it_is_revoked(self, accounts: Accounts) -> None:
        token = accounts.add_token("heating", Role.VIEWER)
        owner = accounts.owner_of(token)
        assert owner is not None
        assert (owner.name, owner.role) == ("heating", Role.VIEWER)
        assert accounts.owner_of(token[:-1]) is None
        accounts.remove_token("heating")
        assert accounts.owner_of(token) is None

    def test_who_reads_the_file_sees_what_another_process_wrote(
        self, accounts: Accounts, tmp_path: Path
    ) -> None:
        reader = Accounts(tmp_path)
        assert "pia" not in reader.users()
        accounts.add_user("pia", PASSWORD, Role.PORTER)
        assert reader.users()["pia"].role is Role.PORTER

    def test_each_change_raises_the_epoch(self, accounts: Accounts) -> None:
        for change in ({}, {"role": Role.VIEWER}, {"password": "another long one"}, {"totp": ""}):
            before = accounts.users()["ada"].epoch
            accounts.change_user("ada", **change)  # type: ignore[arg-type]
            assert accounts.users()["ada"].epoch == before + 1

    @pytest.mark.parametrize("name", ["", "Ada", "a b", "../x", "x" * 33, "\x1b", "-a", "a\n"])
    def test_a_name_that_is_none_is_refused(self, accounts: Accounts, name: str) -> None:
        with pytest.raises(AccountError):
            accounts.add_user(name, PASSWORD, Role.VIEWER)
        with pytest.raises(AccountError):
            accounts.add_token(name, Role.VIEWER)

    @pytest.mark.parametrize("password", ["", "short", "x" * 300, "aaaaaaaaaaaa", "pia is in it"])
    def test_a_weak_password_is_refused_and_not_repeated(
        self, accounts: Accounts, password: str
    ) -> None:
        with pytest.raises(AccountError) as caught:
            accounts.add_user("pia", password, Role.VIEWER)
        assert not password or password not in str(caught.value)

    def test_nobody_is_there_twice(self, accounts: Accounts) -> None:
        with pytest.raises(AccountError, match="there is a user"):
            accounts.add_user("ada", PASSWORD, Role.VIEWER)

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"users": [{}], "tokens": []}'])
    def test_a_damaged_file_lets_nobody_in_and_is_left_alone(
        self, accounts: Accounts, tmp_path: Path, content: str
    ) -> None:
        (tmp_path / FILE).write_text(content)
        with pytest.raises(StoreError):
            accounts.checked("ada", PASSWORD)
        with pytest.raises(StoreError):
            accounts.add_user("pia", PASSWORD, Role.VIEWER)
        assert (tmp_path / FILE).read_text() == content

    def test_two_who_write_at_once_both_have_written(self, tmp_path: Path) -> None:
        names = [f"program-{number}" for number in range(12)]
        threads = [
            threading.Thread(target=Accounts(tmp_path).add_token, args=(name, Role.VIEWER))
            for name in names
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(Accounts(tmp_path).tokens()) == set(names)


class TestCommands:
    def test_users_and_tokens_come_and_go(self, tmp_path: Path) -> None:
        def run(*words: str, said: str = "") -> tuple[int, str]:
            done = CliRunner().invoke(
                main, ["console", *words, "--state", str(tmp_path)], input=said
            )
            return done.exit_code, done.output

        add = ("user", "add", "ada", "--role", "porter")
        assert run(*add, said=f"{PASSWORD}\n") == (0, "ada: porter\n")
        assert run(*add, said=f"{PASSWORD}\n")[0] == 1
        assert "porter" in run("user", "list")[1]
        assert run("user", "passwd", "ada", "--role", "viewer")[0] == 0
        assert "otpauth://totp/" in run("user", "totp", "ada")[1]
        assert "one-time" in run("user", "list")[1]
        code, token = run("token", "add", "heating", "--role", "viewer")
        assert (code, token[:6]) == (0, "lockd_")
        assert token.strip() not in run("token", "list")[1]
        assert run("token", "revoke", "heating")[0] == 0
        assert run("user", "remove", "ada")[0] == 0
        assert run("user", "remove", "ada")[0] == 1
        assert run("user", "list") == (0, "")


class TestOneTimePasswords:
    @pytest.mark.parametrize(
        ("utc_s", "code"),
        [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"),
         (2000000000, "279037"), (20000000000, "353130")],
    )  # fmt: skip
    def test_they_are_those_of_rfc_6238(self, utc_s: int, code: str) -> None:
        assert totp.code(RFC6238, utc_s // totp.STEP_S) == code
        assert totp.accepted(RFC6238, f" {code[:3]} {code[3:]}", utc_s, -1) is not None

    def test_each_counts_once_and_half_a_minute_either_way(self) -> None:
        step = totp.accepted(RFC6238, "287082", 59, -1)
        assert step == 1
        assert totp.accepted(RFC6238, "287082", 59, step) is None
        assert totp.accepted(RFC6238, "287082", 59 + 30, -1) == 1
        assert totp.accepted(RFC6238, "287082", 59 + 61, -1) is None

    @pytest.mark.parametrize("typed", ["", "28708", "2870820", "abcdef", "\u0662\u0668"])
    def test_what_is_none_is_wrong(self, typed: str) -> None:
        assert totp.accepted(RFC6238, typed, 59, -1) is None


class TestGuesses:
    def test_each_one_more_costs_twice_as_much_up_to_the_longest(self) -> None:
        guesses, now, waits = Guesses(), 0.0, []
        for _ in range(FREE + 12):
            guesses.wrong("ada", "a", now)
            waits.append(guesses.wait_s("ada", "b", now))
            now += waits[-1]
        assert waits[: FREE - 1] == [0.0] * (FREE - 1)
        assert waits[FREE - 1 : FREE + 2] == pytest.approx([FIRST_S, 2 * FIRST_S, 4 * FIRST_S])
        assert waits[-1] == pytest.approx(LONGEST_S)

    def test_the_right_one_clears_the_account_but_not_the_address(self) -> None:
        guesses = Guesses()
        for _ in range(4 * FREE):
            guesses.wrong("ada", "a", 0.0)
        guesses.right("ada")
        assert guesses.wait_s("ada", "b", 0.0) <= 0
        assert guesses.wait_s("ada", "a", 0.0) > 0

    def test_after_an_hour_all_is_forgotten(self) -> None:
        guesses = Guesses()
        for _ in range(FREE):
            guesses.wrong("ada", "a", 0.0)
        guesses.wrong("ada", "a", FORGOTTEN_S + 1)
        assert guesses.wait_s("ada", "a", FORGOTTEN_S + 1) <= 0

    def test_many_names_do_not_make_it_forget_who_is_held_up(self) -> None:
        guesses = Guesses()
        for _ in range(FREE + 3):
            guesses.wrong("ada", "a", 0.0)
        for number in range(10_000):
            guesses.wrong(f"n{number}", f"a{number}", 1.0)
        assert guesses.wait_s("ada", "z", 1.0) > 0


class TestSessions:
    def test_one_ends_when_it_is_idle_and_after_its_longest_in_any_case(self) -> None:
        sessions = Sessions(10.0, 25.0)
        idle, busy = sessions.begin(ADA, "a", 0.0), sessions.begin(ADA, "a", 0.0)
        for t in (8.0, 16.0, 24.0):
            assert sessions.find(busy, ADA, t) is not None
        assert sessions.find(idle, ADA, 11.0) is None
        assert sessions.find(busy, ADA, 26.0) is None

    def test_nobody_has_sessions_without_end(self) -> None:
        sessions = Sessions(1000.0, 1000.0)
        first = sessions.begin(ADA, "a", 0.0)
        for t in range(1, 40):
            sessions.begin(ADA, "a", float(t))
        assert sessions.count("ada") == 20
        assert sessions.find(first, ADA, 41.0) is None
