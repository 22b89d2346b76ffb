"""What is refused before anybody is asked who they are, and who they are."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from lockd.remote.roles import Role
from tests.web.house import PASSWORD, Console, House, a_house, csrf_of

PAGES = ["/", "/visits", "/people", "/people/add", "/people/alike", "/recognise", "/health",
         "/account"]  # fmt: skip


def raw(console: Console, request: bytes) -> bytes:
    """What comes back for bytes that no client would send."""
    with socket.create_connection(("127.0.0.1", console.port), 10) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


class TestHost:
    """A page of somebody else's may make its own name lead here: DNS rebinding."""

    @pytest.mark.parametrize(
        "host",
        ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "127.0.0.2", "", "a b",
         "localhost@evil.example", "[::1", "0.0.0.1", "127.0.0.1:port", "localhost/.."],
    )  # fmt: skip
    def test_another_name_is_refused_whatever_is_asked(self, console: Console, host: str) -> None:
        client = console.browser("ada")
        for method, path in (("GET", "/"), ("POST", "/api/v1/door/unlock"), ("GET", "/static/x")):
            answer = client.request(method, path, headers={"Host": host.format(port=console.port)})
            assert answer.status_code in (400, 421)

    def test_two_names_are_none(self, console: Console) -> None:
        answer = raw(
            console, b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nConnection: close\r\n\r\n"
        )
        assert answer.split()[1] in (b"400", b"421")

    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]", "localhost."])
    def test_its_own_names_are_good(self, console: Console, host: str) -> None:
        assert console.anybody().get("/login", headers={"Host": host}).status_code == 200

    def test_further_names_are_those_of_the_settings(self, tmp_path: Path) -> None:
        with a_house(tmp_path, names=["door.example"]) as (_, console):
            client = console.anybody()
            good = client.get("/login", headers={"Host": f"Door.Example:{console.port}"})
            assert good.status_code == 200
            bad = client.get("/login", headers={"Host": "other.example"})
            assert bad.status_code == 421


class TestOrigin:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"}, {"Origin": "null"},
            {"Origin": "http://localhost:1"}, {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://127.0.0.1:99999"},
        ],
    )  # fmt: skip
    def test_a_change_that_another_page_asks_for_is_refused(
        self, house: House, console: Console, headers: dict[str, str]
    ) -> None:
        client = console.browser("ada")
        for path in ("/api/v1/door/unlock", "/logout", "/login", "/preferences"):
            assert client.post(path, headers=headers).status_code == 403, path
        assert house.keeping.output.log == []

    def test_our_own_page_may(self, house: House, console: Console) -> None:
        headers = {"Origin": console.base, "Sec-Fetch-Site": "same-origin"}
        answer = console.browser("pia").post("/api/v1/door/unlock", headers=headers)
        assert answer.status_code == 200
        assert house.keeping.output.log[-1] == "on"


class TestForgery:
    @pytest.mark.parametrize("token", [None, "", "wrong", "\xe4".encode()])
    def test_a_change_without_the_pages_token_is_refused(
        self, house: House, console: Console, token: str | bytes | None
    ) -> None:
        client = console.browser("ada")
        del client.headers["X-CSRF-Token"]
        headers = {} if token is None else {"X-CSRF-Token": token}
        assert client.post("/api/v1/door/unlock", headers=headers).status_code == 403
        data = {"csrf": token.decode("latin-1") if isinstance(token, bytes) else token or ""}
        assert client.post("/logout", data=data).status_code == 403
        assert client.post("/account/password", data=data).status_code == 403
        assert house.keeping.output.log == []

    def test_somebody_elses_token_is_wrong(self, console: Console) -> None:
        ada, pia = console.browser("ada"), console.browser("pia")
        headers = {"X-CSRF-Token": csrf_of(ada)}
        assert pia.post("/api/v1/door/lock", headers=headers).status_code == 403

    def test_programs_need_none(self, console: Console) -> None:
        assert console.program(Role.PORTER).post("/api/v1/door/lock").status_code == 200


class TestSessions:
    def test_logging_in_always_makes_a_new_one(self, console: Console) -> None:
        """Who planted a cookie in somebody's browser must not be logged in with them."""
        client = console.anybody()
        client.cookies.set("lockd_session", "planted", domain="127.0.0.1")
        client.post("/login", data={"name": "ada", "password": PASSWORD})
        now = [one.value for one in client.cookies.jar if one.name == "lockd_session"]
        assert "planted" not in now[-1:]
        other = console.anybody()
        other.cookies.set("lockd_session", "planted", domain="127.0.0.1")
        assert other.get("/api/v1/door").status_code == 401

    def test_the_one_before_ends_when_somebody_logs_in_again(self, console: Console) -> None:
        client = console.browser("vic")
        old = client.cookies["lockd_session"]
        client.post("/login", data={"name": "vic", "password": PASSWORD})
        other = console.anybody()
        other.cookies.set("lockd_session", old, domain="127.0.0.1")
        assert other.get("/api/v1/door").status_code == 401

    def test_the_cookie_is_for_no_script_and_no_other_site(self, console: Console) -> None:
        answer = console.anybody().post("/login", data={"name": "ada", "password": PASSWORD})
        cookie = answer.headers["set-cookie"].casefold()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie

    def test_logging_out_ends_it_at_the_console_too(self, console: Console) -> None:
        client = console.browser("ada")
        cookie = client.cookies["lockd_session"]
        assert client.post("/logout", data={"csrf": csrf_of(client)}).status_code == 303
        other = console.anybody()
        other.cookies.set("lockd_session", cookie, domain="127.0.0.1")
        assert other.get("/api/v1/door").status_code == 401

    def test_logging_out_everywhere_ends_all(self, console: Console) -> None:
        one, other, pia = console.browser("ada"), console.browser("ada"), console.browser("pia")
        assert one.post("/api/v1/log-out-everywhere").status_code == 204
        assert [x.get("/api/v1/door").status_code for x in (one, other, pia)] == [401, 401, 200]

    def test_who_is_removed_or_becomes_less_is_logged_out(self, console: Console) -> None:
        ada, pia = console.browser("ada"), console.browser("pia")
        console.accounts.remove_user("ada")
        console.accounts.change_user("pia", role=Role.VIEWER)
        assert ada.get("/api/v1/door").status_code == 401
        assert pia.get("/api/v1/door").status_code == 401
        assert console.browser("pia").post("/api/v1/door/unlock").status_code == 403

    def test_a_new_password_logs_out_and_is_the_only_one(self, console: Console) -> None:
        client = console.browser("ada")
        new = "another long sentence"
        data = {"csrf": csrf_of(client), "old": "wrong", "new": new}
        assert client.post("/account/password", data=data).status_code == 403
        weak = {**data, "old": PASSWORD, "new": "short"}
        assert client.post("/account/password", data=weak).status_code == 422
        good = {**data, "old": PASSWORD}
        assert client.post("/account/password", data=good).status_code == 303
        assert client.get("/api/v1/door").status_code == 401
        wrong = console.anybody().post("/login", data={"name": "ada", "password": PASSWORD})
        assert wrong.status_code == 401
        right = console.anybody().post("/login", data={"name": "ada", "password": new})
        assert right.status_code == 303


class TestGuessing:
    def test_after_a_few_wrong_tries_even_the_right_one_waits(self, console: Console) -> None:
        client = console.anybody()
        wrong = {"name": "ada", "password": "wrong"}
        said = [client.post("/login", data=wrong).status_code for _ in range(7)]
        assert said == [401] * 5 + [429] * 2
        right = client.post("/login", data={"name": "ada", "password": PASSWORD})
        assert right.status_code == 429
        assert int(right.headers["retry-after"]) >= 9
        assert console.anybody().get("/api/v1/door").status_code == 401

    def test_another_account_is_not_held_up_for_it(self, console: Console) -> None:
        for _ in range(6):
            console.anybody().post("/login", data={"name": "ada", "password": "wrong"})
        assert console.browser("pia").get("/api/v1/door").status_code == 200

    def test_whoever_tries_many_accounts_is_held_up_by_where_they_are(
        self, console: Console
    ) -> None:
        said = [
            console.anybody().post("/login", data={"name": f"n{n}", "password": "x"}).status_code
            for n in range(21)
        ]
        assert said == [401] * 20 + [429]

    def test_whether_there_is_such_a_user_is_not_told(self, console: Console) -> None:
        pages = [
            console.anybody().post("/login", data={"name": name, "password": "wrong"})
            for name in ("ada", "eve")
        ]
        texts = [page.text.replace("ada", "eve") for page in pages]
        assert texts[0] == texts[1]

    def test_a_refused_login_is_in_the_audit_trail_and_no_name_that_was_typed(
        self, house: House, console: Console
    ) -> None:
        console.anybody().post("/login", data={"name": "hunter2", "password": "wrong"})
        console.anybody().post("/login", data={"name": "ada", "password": "wrong"})
        console.browser("ada")
        notes = [(by, note) for by, _, note in house.audit() if note and "log" in note]
        assert notes == [
            ("unknown@127.0.0.1 (console)", "login refused"),
            ("ada@127.0.0.1 (console)", "login refused"),
            ("ada@127.0.0.1 (console)", "logged in"),
        ]


class TestRoles:
    @pytest.mark.parametrize("name", ["vic", "pia"])
    @pytest.mark.parametrize("command", ["lock", "unlock", "lock-down", "lift", "silence"])
    def test_a_porter_commands_the_door_and_a_viewer_does_not(
        self, house: House, console: Console, name: str, command: str
    ) -> None:
        status = console.browser(name).post(f"/api/v1/door/{command}").status_code
        assert status == (200 if name == "pia" else 403)
        if name == "vic":
            assert house.keeping.output.log == []

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.PORTER])
    def test_only_administrators_change_people(
        self, house: House, console: Console, role: Role
    ) -> None:
        client, path = console.program(role), f"/api/v1/people/{house.ada.id}"
        for method, where in (("PATCH", path), ("DELETE", path), ("POST", f"{path}/merge"),
                              ("POST", "/api/v1/people"), ("GET", path), ("GET", "/api/v1/audit"),
                              ("DELETE", f"{path}/templates/1")):  # fmt: skip
            answer = client.request(method, where, json={"into": "x"} if "merge" in where else None)
            assert answer.status_code == 403, (method, where)

    def test_no_header_makes_anybody_more(self, house: House, console: Console) -> None:
        headers = {"X-Role": "administrator", "X-Forwarded-User": "ada", "Remote-User": "ada",
                   "X-Forwarded-For": "127.0.0.1"}  # fmt: skip
        answer = console.browser("vic").post("/api/v1/door/unlock", headers=headers)
        assert answer.status_code == 403

    @pytest.mark.parametrize("path", PAGES)
    def test_pages_are_for_those_who_are_logged_in(self, console: Console, path: str) -> None:
        client = console.anybody()
        page = client.get(path, headers={"Accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (303, "/login")
        assert client.get(path).status_code == 401

    @pytest.mark.parametrize("path", PAGES)
    def test_a_viewer_sees_what_viewers_may(self, console: Console, path: str) -> None:
        allowed = not path.startswith(("/people", "/recognise"))
        answer = console.browser("vic").get(path, headers={"Accept": "text/html"})
        assert answer.status_code == (200 if allowed else 403)

    def test_a_wrong_token_is_nobodys(self, console: Console) -> None:
        for token in ("x", "lockd_", "x" * 5000, console.tokens[Role.VIEWER][:-1]):
            headers = {"Authorization": f"Bearer {token}"}
            assert console.anybody().get("/api/v1/door", headers=headers).status_code == 401

    def test_a_token_that_was_revoked_is_worthless_at_once(self, console: Console) -> None:
        client = console.program(Role.PORTER)
        assert client.get("/api/v1/door").status_code == 200
        console.accounts.remove_token("porter")
        assert client.get("/api/v1/door").status_code == 401


class TestHeaders:
    @pytest.mark.parametrize("path", ["/login", "/static/common.js", "/healthz", "/nowhere", "/"])
    def test_every_answer_tells_browsers_to_be_careful(self, console: Console, path: str) -> None:
        headers = console.anybody().get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers

    @pytest.mark.parametrize(
        "sent", [b"/x%0d%0aSet-Cookie:%20a=b", b"/people/%0d%0aX-Evil:%201", b"/..%2f..%2fetc"]
    )
    def test_no_header_is_made_out_of_a_path(self, console: Console, sent: bytes) -> None:
        answer = raw(console, b"GET " + sent + b" HTTP/1.1\r\nHost: localhost\r\n"
                     b"Connection: close\r\n\r\n")  # fmt: skip
        head = answer.split(b"\r\n\r\n")[0].lower()
        assert b"set-cookie" not in head
        assert b"x-evil" not in head

    @pytest.mark.parametrize("path", ["/static/../accounts.py", "/static/%2e%2e/accounts.py",
                                      "/static/..%5c..%5caccounts.py"])  # fmt: skip
    def test_nothing_but_what_is_meant_for_browsers_is_handed_out(
        self, console: Console, path: str
    ) -> None:
        answer = raw(console, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                     .encode())  # fmt: skip
        assert answer.split()[1] in (b"404", b"400")
        assert b"Argon2" not in answer

    def test_names_that_are_markup_stay_text(self, house: House, console: Console) -> None:
        client = console.browser("ada")
        bad = "<img src=x onerror=alert(1)>"
        client.patch(f"/api/v1/people/{house.ada.id}", json={"name": bad, "notes": bad})
        for path in ("/people", f"/people/{house.ada.id}"):
            page = client.get(path).text
            assert bad not in page
            assert "&lt;img" in page


class TestSize:
    def test_what_is_too_large_is_refused_by_what_it_says(self, console: Console) -> None:
        answer = console.browser("ada").post(
            "/api/v1/door/lock", content=b"{" + b" " * 70_000 + b"}"
        )
        assert answer.status_code == 413

    def test_and_by_what_it_is_where_it_does_not_say(self, console: Console) -> None:
        def pieces() -> object:
            for _ in range(100):
                yield b" " * 8192

        client = console.browser("ada")
        try:
            answer = client.post("/api/v1/door/lock", content=pieces())  # type: ignore[arg-type]
            assert answer.status_code >= 400
        except httpx.TransportError:
            pass  # it was hung up on

    @pytest.mark.parametrize("length", ["-1", "x", "1e9", ""])
    def test_a_length_that_is_none_is_refused(self, console: Console, length: str) -> None:
        request = f"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n"
        answer = raw(console, f"{request}Connection: close\r\n\r\n".encode())
        assert answer.split()[1].startswith(b"4")
