"""`lockd-enroll pin` and `card`: given, shown, taken away, and seen by nobody."""

from __future__ import annotations

import json
import queue
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from enroll import factors, sealed
from enroll.cli import main
from lockd.adapters.control import ControlSocket
from lockd.adapters.store import Store, Vault
from lockd.config import load
from lockd.identity.factors import FactorKind, hash_card, is_card, is_pin
from lockd.service.second_factor import SecondFactor
from lockd.types import FactorEntry
from tests.enroll.conftest import Enrol, opened
from tests.fakes import FixedTime, unit
from tests.invoking import Run
from tests.patience import PATIENCE_S, eventually
from tests.service.test_second_factor import store_work

PIN, CARD = FactorKind.PIN, FactorKind.CARD


def typed(line: str, *arguments: object) -> Result:
    """Run the command with a line on standard input."""
    result = CliRunner().invoke(main, [str(one) for one in arguments], input=line)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def kept(name: str, kind: FactorKind) -> list[bytes]:
    with opened() as store:
        return [one.kept for one in store.factors.of(name) if one.kind is kind]


@pytest.fixture(autouse=True)
def _people(enrol: Enrol) -> None:
    enrol("Ada", 0)
    enrol("Grace", 90)


class TestPin:
    def test_it_comes_from_standard_input_and_a_new_one_takes_its_place(self) -> None:
        result = typed("2580\n", "pin", "ada")
        assert result.exit_code == 0, result.output
        assert "2580" not in result.output
        assert "second_factor.keypad" in result.stderr, "this door has none yet"
        assert typed("1397\n", "pin", "Ada").exit_code == 0
        (pin,) = kept("Ada", PIN)
        assert (is_pin(pin, "1397"), is_pin(pin, "2580")) == (True, False)

    @pytest.mark.parametrize("line", ["", "12\n", "1111\n", "abcd\n", "123456789\n", "1" * 70])
    def test_one_that_may_not_be_is_refused_and_not_repeated(self, line: str) -> None:
        result = typed(line, "pin", "Ada")
        assert result.exit_code == 14
        assert len(line) < 6 or line.strip() not in result.output.replace("1111 or 1234", "")
        assert kept("Ada", PIN) == []

    def test_it_may_have_as_many_digits_as_the_door_wants(self, tmp_path: Path) -> None:
        config = configured(tmp_path, own_store=False, least_digits=6, most_digits=6)
        result = typed("25801\n", "pin", "Ada", "--config", config)
        assert (result.exit_code, "choose 6 to 6" in result.output) == (14, True)

    def test_where_a_pin_alone_opens_no_two_people_have_the_same(self, tmp_path: Path) -> None:
        config = configured(tmp_path, least_digits=6, alone=["pin"])
        with closing(Store.open(load(config).store.path(), vault(config))) as store:
            for name in ("Ada", "Grace"):
                store.people.add(name, "model", [unit(1)], by="root")
        assert typed("258013\n", "pin", "Ada", "--config", config).exit_code == 0
        assert typed("258013\n", "pin", "Ada", "--config", config).exit_code == 0, "their own"
        result = typed("258013\n", "pin", "Grace", "--config", config)
        assert result.exit_code == 14
        assert "Ada" not in result.output

    def test_it_is_taken_away(self, run: Run) -> None:
        typed("2580\n", "pin", "Ada")
        assert run("pin", "Ada", "--remove").exit_code == 0
        assert kept("Ada", PIN) == []
        result = run("pin", "Ada", "--remove")
        assert result.exit_code == 14
        assert "has no pin" in result.output

    def test_nobody_else_gets_one(self) -> None:
        assert typed("2580\n", "pin", "Alan").exit_code == 9


class TestCard:
    def test_its_number_comes_from_standard_input_however_it_is_written(self) -> None:
        assert typed("123,45678\n", "card", "Ada", "--number").exit_code == 0
        (card,) = kept("Ada", CARD)
        assert is_card(card, "0008106606")
        for name in ("Ada", "Grace"):
            result = typed("8106606\n", "card", name, "--number")
            assert result.exit_code == 14
            assert "somebody's already" in result.output
            assert "8106606" not in result.output
        assert typed("04:A2:3C:1F\n", "card", "Ada", "--number").stdout == "Ada has 2 cards now.\n"

    @pytest.mark.parametrize("line", ["", "\n", "12;5\n", "300,1\n", "9" * 80])
    def test_what_is_none_is_refused(self, line: str) -> None:
        assert typed(line, "card", "Ada", "--number").exit_code == 14
        assert kept("Ada", CARD) == []

    def test_one_or_all_are_taken_away(self, run: Run) -> None:
        for number in ("1001", "1002", "1003"):
            typed(number, "card", "Ada", "--number")
        typed("1004", "card", "Grace", "--number")
        shown = json.loads(run("show", "Ada", "--json").stdout)["factors"]
        other = json.loads(run("show", "Grace", "--json").stdout)["factors"][0]["id"]
        assert run("card", "Ada", "--drop", other).exit_code == 14
        assert run("card", "Ada", "--drop", shown[1]["id"]).exit_code == 0
        assert [is_card(one, "0000001002") for one in kept("Ada", CARD)] == [False, False]
        assert run("card", "Ada", "--remove").exit_code == 0
        assert kept("Ada", CARD) == []
        assert len(kept("Grace", CARD)) == 1

    def test_without_a_service_it_says_how_to_go_on(self, run: Run, tmp_path: Path) -> None:
        result = run("card", "Ada", "--config", configured(tmp_path, own_store=False))
        assert result.exit_code == 12
        assert "does lockd run" in result.output


def test_pins_and_cards_are_listed_shown_and_never_told(run: Run) -> None:
    typed("2580\n", "pin", "Ada")
    typed("4711471147\n", "card", "Ada", "--number")
    table = run("list").stdout
    assert "PIN, 1 card" in table
    data = {one["name"]: one for one in json.loads(run("list", "--json").stdout)}
    assert (data["Ada"]["pin"], data["Ada"]["cards"]) == (True, 1)
    assert (data["Grace"]["pin"], data["Grace"]["cards"]) == (False, 0)
    shown = run("show", "Ada").stdout
    assert "PIN: since" in shown
    assert "card 2: since" in shown
    everything = table + shown + run("show", "Ada", "--json").stdout
    assert "4711" not in everything
    assert "argon2" not in everything
    with opened() as store:
        store.database.run("UPDATE factors SET sealed = zeroblob(90) WHERE kind = 'pin'")
    assert "1 PINs or cards damaged" in run("show", "Ada").stdout
    assert json.loads(run("show", "Ada", "--json").stdout)["unreadable_factors"] == 1


def test_whoever_is_forgotten_has_none_and_the_report_says_how_many(
    run: Run, tmp_path: Path
) -> None:
    typed("2580\n", "pin", "Ada")
    typed("1001\n", "card", "Ada", "--number")
    assert run("forget", "Ada", "--report", tmp_path / "report.json").exit_code == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["pins_and_cards"], report["verified"]) == (2, True)


class TestTransfer:
    @pytest.fixture(autouse=True)
    def _cheap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sealed, "LOG_N", 10)

    @pytest.fixture
    def passphrase(self, tmp_path: Path) -> list[object]:
        file = tmp_path / "passphrase"
        file.write_text("correct horse battery\n")
        return ["--passphrase-file", file]

    def test_they_go_from_door_to_door(
        self, run: Run, passphrase: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        typed("2580\n", "pin", "Ada")
        typed("1001\n", "card", "Ada", "--number")
        file = tmp_path / "people.lockd"
        assert run("export", file, *passphrase).exit_code == 0
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        again = run("import", file, *passphrase, "--json").stdout
        assert {one["action"] for one in json.loads(again)["people"]} == {"unchanged"}
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "another door"))
        assert run("import", file, *passphrase).exit_code == 0
        assert is_pin(kept("Ada", PIN)[0], "2580")
        assert is_card(kept("Ada", CARD)[0], "0000001001")
        run("pin", "Ada", "--remove")
        assert run("import", file, *passphrase).exit_code == 9, "enrolled otherwise"
        assert run("import", file, *passphrase, "--replace").exit_code == 0
        assert len(kept("Ada", PIN)) == 1

    def test_a_file_without_any_is_as_it_was_before_there_were_any(
        self, run: Run, passphrase: list[object], tmp_path: Path
    ) -> None:
        file = tmp_path / "people.lockd"
        run("export", file, *passphrase)
        content = json.loads(sealed.unseal(file.read_bytes(), "correct horse battery", "x"))
        assert "factors" not in content["people"][0]

    @pytest.mark.parametrize(
        "bad",
        [
            [{"kind": "pin", "kept": "MTIzNA=="}],
            [{"kind": "card", "kept": "MTIzNA=="}],
            [{"kind": "confirm", "kept": "MTIzNA=="}],
            [{"kind": "pin", "kept": "DEAR"}],
            [{"kind": "pin", "kept": "GOOD"}, {"kind": "pin", "kept": "GOOD"}],
            [{"kind": "card", "kept": "CARD"}] * 10,
        ],
    )
    def test_nonsense_in_a_file_is_refused(
        self, run: Run, passphrase: list[object], tmp_path: Path, bad: list[dict[str, str]]
    ) -> None:
        from base64 import b64encode

        from lockd.identity.factors import hash_pin

        dear = b"$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaA"
        words = {"DEAR": dear, "GOOD": hash_pin("2580"), "CARD": hash_card("1001")}
        bad = [
            {
                **one,
                "kept": b64encode(words[one["kept"]]).decode()
                if one["kept"] in words
                else one["kept"],
            }
            for one in bad
        ]
        file = tmp_path / "people.lockd"
        run("export", file, *passphrase)
        content = json.loads(sealed.unseal(file.read_bytes(), "correct horse battery", "x"))
        content["people"][0]["factors"] = bad
        file.write_bytes(sealed.seal(json.dumps(content).encode(), "correct horse battery"))
        result = run("import", file, *passphrase)
        assert result.exit_code == 13
        assert "factors" in result.output


# At the door


def configured(folder: Path, *, own_store: bool = True, **wanted: Any) -> Path:
    """A configuration with a keypad and a reader."""
    devices = {name: {"device": f"/dev/none-{name}"} for name in ("keypad", "reader")}
    sections = {
        "second_factor": {**devices, **wanted},
        "control": {"socket": str(folder / "control")},
    }
    if own_store:
        sections["store"] = {"folder": str(folder / "state")}
    file = folder / "lockd.yaml"
    file.write_text(yaml.safe_dump(sections))
    return file


def vault(config: Path) -> Vault:
    return Vault.open(load(config).store)


class Service:
    """What of a service reads cards, in a thread."""

    def __init__(self, config: Path) -> None:
        self.entries: queue.Queue[FactorEntry] = queue.Queue()
        self.asked = threading.Event()
        self._settings = load(config)
        self._wakes: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._socket = ControlSocket(self._settings.control.socket or config, self._wake)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _wake(self) -> None:
        self._wakes.put(True)

    def _run(self) -> None:
        path = self._settings.store.path()
        with closing(Store.open(path, Vault.open(self._settings.store))) as store:
            factor = SecondFactor(
                self._settings.second_factor,
                entries=self.entries,
                store=lambda: store,
                wall=FixedTime(),
                wake=self._wake,
                have_done=store_work(store),
            )
            while self._wakes.get():
                factor.serve(0.0)
                for request in self._socket.requests():
                    assert request.take()
                    assert request.values == {"command": "card"}
                    request.answer(factor.read_card(0.0, request.by))
                    self.asked.set()
            factor.close()

    def close(self) -> None:
        self._wakes.put(False)
        self._thread.join(PATIENCE_S)
        self._socket.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return configured(tmp_path, own_store=False)


@pytest.fixture
def service(config: Path) -> Iterator[Service]:
    service = Service(config)
    yield service
    service.close()


def test_a_card_is_read_at_the_door(service: Service, config: Path, run: Run) -> None:
    def hold_it_there() -> None:
        service.asked.wait(PATIENCE_S)
        service.entries.put(FactorEntry("card", "0000004711"))

    visitor = threading.Thread(target=hold_it_there)
    visitor.start()
    result = run("card", "Ada", "--config", config, "--timeout", "600")
    visitor.join()
    assert result.exit_code == 0, result.output
    assert "Hold the card" in result.stderr
    assert "4711" not in result.output
    assert is_card(eventually(lambda: kept("Ada", CARD))[0], "0000004711")


def test_a_card_of_somebody_is_told_at_the_door_and_a_wait_ends(
    service: Service, config: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened() as store:
        store.factors.add_card("Grace", hash_card("0000004711"), by="root")
    times = iter(range(0, 10_000, 20))
    monkeypatch.setattr(factors, "time", FakeTime(times))
    result = run("card", "Ada", "--config", config, "--timeout", "30")
    assert result.exit_code == 12
    assert "no card was shown within 30 s" in result.output
    service.entries.put(FactorEntry("card", "0000004711"))
    result = run("card", "Ada", "--config", config, "--timeout", "600")
    assert result.exit_code == 14
    assert "somebody's already" in result.output


class FakeTime:
    def __init__(self, times: Iterator[int]) -> None:
        self._times = times

    def monotonic(self) -> float:
        return float(next(self._times))

    def sleep(self, seconds: float) -> None:
        pass


def test_a_door_without_a_reader_says_so(tmp_path: Path, run: Run) -> None:
    config = configured(tmp_path, own_store=False, reader=None)
    service = Service(config)
    result = run("card", "Ada", "--config", config)
    service.close()
    assert result.exit_code == 12
    assert "has no card reader" in result.output
