"""The interface for programs: what it answers, and that it answers whatever is sent."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lockd.messages import EventType
from lockd.remote.roles import Role
from tests.bombs import png
from tests.conftest import PHOTOS
from tests.web.house import Console, House, a_house

API = "/api/v1"


@pytest.fixture
def ada(console: Console) -> httpx.Client:
    return console.program(Role.ADMINISTRATOR)


def test_an_error_is_a_problem_with_a_word_that_does_not_change(ada: httpx.Client) -> None:
    answer = ada.get(f"{API}/people/nobody")
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["type"], problem["status"], problem["code"]) == ("about:blank", 409, "refused")
    assert problem["title"]
    assert problem["detail"]


def test_people_are_listed_changed_merged_and_forgotten(house: House, ada: httpx.Client) -> None:
    people = ada.get(f"{API}/people", params={"search": "grace"}).json()["people"]
    assert [one["name"] for one in people] == ["Grace Hopper"]
    path = f"{API}/people/{house.ada.id}"
    assert ada.patch(path, json={"name": "Ada King", "enabled": False}).json()["enabled"] is False
    assert ada.get(path).json()["name"] == "Ada King"
    merged = ada.post(f"{API}/people/{house.grace.id}/merge", json={"into": house.ada.id})
    assert merged.json()["templates"] == 4
    assert ada.delete(path).json()["verified"] is True
    assert ada.get(f"{API}/people").json() == {"people": []}


@pytest.mark.parametrize(
    "change",
    [{"enabled": "maybe"}, {"nome": "x"}, {"name": ""}, {"groups": None}, {"valid_from": "1.1."},
     [], "x", {"notes": "x" * 2001}],
)  # fmt: skip
def test_a_change_that_is_none_is_refused_with_where_it_is_wrong(
    house: House, ada: httpx.Client, change: Any
) -> None:
    answer = ada.patch(f"{API}/people/{house.ada.id}", json=change)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_no_answer_has_a_vector_in_it(house: House, ada: httpx.Client) -> None:
    text = ada.get(f"{API}/people/{house.ada.id}").text + ada.get(f"{API}/people").text
    assert "embedding" not in text
    assert "vector" not in text


def test_a_table_of_visits_calculates_nothing(house: House, ada: httpx.Client) -> None:
    house.happens(EventType.ACCESS_GRANTED, person='=HYPERLINK("http://evil")', similarity=-0.5)
    answer = ada.get(f"{API}/visits.csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row["person"].startswith("'=")
    assert row["similarity"] == "-0.5"
    assert "attachment" in answer.headers["content-disposition"]


def test_how_near_a_stranger_came_is_for_administrators(house: House, console: Console) -> None:
    house.happens(EventType.STRANGER, similarity=0.69)
    for role in Role:
        (event,) = console.program(role).get(f"{API}/visits").json()["events"]
        assert ("similarity" in event) is (role is Role.ADMINISTRATOR)


def test_events_come_as_they_happen_and_end_when_somebody_logs_out(
    house: House, console: Console
) -> None:
    client = console.browser("vic")
    with client.stream("GET", f"{API}/events") as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("retry:")
        # The first question says from where on; what happens after it is told.
        house.happens(EventType.DOOR_OPENED)
        told: dict[str, Any] = {}
        while not told:
            house.happens(EventType.DOOR_CLOSED)
            line = next(line for line in lines if line.startswith("data:"))
            told = json.loads(line.removeprefix("data:"))
        assert told["type"].startswith("door_")
        console.accounts.change_user("vic")
        house.happens(EventType.DOOR_CLOSED)
        house.happens(EventType.DOOR_CLOSED)
        for _ in lines:
            pass  # it ends


def test_nobody_watches_where_nobody_looks(house: House, console: Console) -> None:
    client = console.program(Role.VIEWER)
    assert "lockd_console_viewers 0" in client.get("/metrics").text


def test_the_live_picture_comes_with_boxes(house: House, console: Console) -> None:
    house.sees("Ada Lovelace")
    with console.browser("vic").stream("GET", f"{API}/live") as answer:
        line = next(line for line in answer.iter_lines() if line.startswith("data:"))
    told = json.loads(line.removeprefix("data:"))
    assert told["faces"][0]["name"] == "Ada Lovelace"
    assert told["picture"].startswith("/9j/")


def test_metrics_are_numbers_for_whoever_has_a_token(house: House, console: Console) -> None:
    house.sees("Ada Lovelace")
    text = console.program(Role.VIEWER).get("/metrics").text
    values = dict(line.split() for line in text.splitlines() if not line.startswith("#"))
    assert values["lockd_up"] == "1"
    assert values["lockd_people"] == "2"
    assert values["lockd_faces"] == "1"
    assert console.anybody().get("/metrics").status_code == 401


def test_without_the_service_it_says_so_and_goes_on(house: House, console: Console) -> None:
    client = console.browser("ada")
    house.control.close()
    for path in (f"{API}/door", f"{API}/people"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "down")
    page = client.get("/people", headers={"Accept": "text/html"})
    assert page.status_code == 503
    assert "lockd doctor" in page.text
    assert client.get("/health", headers={"Accept": "text/html"}).status_code == 200
    assert client.get("/healthz").json() == {"status": "ok"}
    assert "lockd_up 0" in client.get("/metrics").text


class TestUploads:
    @pytest.mark.parametrize(
        ("content", "status"),
        [(b"", 422), (b"rubbish", 409), (png(60_000, 60_000), 409), (b"\xff\xd8" * 10, 409)],
    )
    def test_what_is_no_photograph_is_refused(
        self, console: Console, content: bytes, status: int
    ) -> None:
        files = {"photograph": ("../../etc/passwd\r\nX-Evil: 1.jpg", content, "image/jpeg")}
        answer = console.program(Role.PORTER).post(f"{API}/recognise", files=files)
        assert answer.status_code == status
        assert "passwd" not in answer.text
        assert "x-evil" not in answer.headers

    def test_somebody_is_judged_enrolled_and_recognised(
        self, house: House, ada: httpx.Client
    ) -> None:
        photo = (PHOTOS / "eileen-collins.jpg").read_bytes()

        def send(path: str, **data: Any) -> dict[str, Any]:
            files = [("photographs", ("a.jpg", photo)), ("photographs", ("b.jpg", b"rubbish"))]
            return dict(ada.post(path, data=data, files=files).json())

        judged = send(f"{API}/people", name="Eileen Collins", dry_run="true")
        assert [one["accepted"] for one in judged["pictures"]] == [True, False]
        assert len(ada.get(f"{API}/people").json()["people"]) == 2
        told = send(f"{API}/people", name="Eileen Collins", consent_utc="2026-11-29",
                    groups="staff")  # fmt: skip
        one = ada.get(f"{API}/people/{told['id']}").json()
        assert (one["groups"], one["consent_by"]) == (["staff"], "administrator")
        assert send(f"{API}/people", name="Eileen Collins")["code"] == "refused"
        seen = ada.post(f"{API}/recognise", files={"photograph": photo}).json()
        assert [face["person"] for face in seen["faces"]] == ["Eileen Collins"]

    def test_too_many_are_refused(self, ada: httpx.Client) -> None:
        files = [("photographs", (f"{n}.jpg", b"x")) for n in range(21)]
        answer = ada.post(f"{API}/people", data={"name": "Many"}, files=files)
        assert answer.status_code == 422

    @pytest.mark.parametrize(
        "kind", ["multipart/form-data", "multipart/form-data; boundary=", "text/plain", ""]
    )
    def test_a_form_that_is_none_is_refused(self, ada: httpx.Client, kind: str) -> None:
        headers = {"Content-Type": kind} if kind else {}
        answer = ada.post(f"{API}/people", content=b"--x\r\n\r\n", headers=headers)
        assert answer.status_code in (400, 422)


def test_the_relay_is_tried_only_on_the_word_that_the_strike_is_off(
    house: House, ada: httpx.Client, console: Console
) -> None:
    path = f"{API}/wiring-test"
    for word in ({}, {"strike_disconnected": 1}, {"strike_disconnected": "true"}):
        assert ada.post(path, json=word).status_code == 422
    assert ada.post(path, json={"strike_disconnected": False}).status_code == 409
    good = {"strike_disconnected": True}
    assert console.program(Role.PORTER).post(path, json=good).status_code == 403
    assert house.keeping.output.log == []
    assert ada.post(path, json=good).json()["lock"] == "UNLOCKED"


def test_the_machine_is_looked_at_for_administrators(ada: httpx.Client, console: Console) -> None:
    assert ada.get(f"{API}/checks").json()["checks"] == {}
    assert ada.post(f"{API}/checks/doctor").json()["findings"] == []
    assert set(ada.get(f"{API}/checks").json()["checks"]) == {"doctor"}
    failed = ada.post(f"{API}/checks/thresholds")
    assert (failed.status_code, failed.json()["code"]) == (409, "refused")
    assert ada.post(f"{API}/checks/rm").status_code == 422
    for role in (Role.VIEWER, Role.PORTER):
        client = console.program(role)
        assert client.get(f"{API}/checks").status_code == 403
        assert client.post(f"{API}/checks/doctor").status_code == 403


@pytest.fixture(scope="module")
def open_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Console]]:
    with a_house(tmp_path_factory.mktemp("open")) as both:
        yield both


@pytest.mark.browser
def test_whatever_is_sent_is_answered_as_the_description_says(
    open_house: tuple[House, Console], tmp_path: Path
) -> None:
    """Schemathesis, over all that the description has but what never ends."""
    schemathesis = pytest.importorskip("schemathesis")
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    console = open_house[1]
    schema = schemathesis.openapi.from_url(f"{console.base}{API}/openapi.json")
    checks = [not_a_server_error, status_code_conformance, content_type_conformance,
              response_schema_conformance]  # fmt: skip
    headers = {"Authorization": f"Bearer {console.tokens[Role.ADMINISTRATOR]}"}
    looked = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.endswith("/events"):
            continue
        looked.add(operation.path)

        from hypothesis import HealthCheck, Phase, given, settings

        @given(case=operation.as_strategy())
        @settings(
            max_examples=25, deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def hold(case: Any) -> None:
            case.call_and_validate(headers=headers, checks=checks, timeout=120)

        hold()
    assert len(looked) > 15
