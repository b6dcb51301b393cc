"""How the processes of a launch meet: here as threads, at real stores and at ports that other programs have."""

import re
import socket
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from torch._C._distributed_c10d import TCPStore

from gansmith.errors import PeerError, UserError, WaitingWarning
from gansmith.training import meeting
from gansmith.training.meeting import Launch


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "ANSWER", 2.0)
    monkeypatch.setattr(meeting, "GREETING", 0.5)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def launch(rank: int, port: int, processes: int = 2, **more: object) -> Launch:
    given = {"host": "127.0.0.1", "kept": False, "patience": 20.0, "meeting": 10.0} | more
    return Launch(rank, processes, port=port, **given)  # type: ignore[arg-type]


def ends(*launches: Launch) -> list[str]:
    """What becomes of processes that meet: "" or what each says, with a mark where it says nothing aloud."""

    def end(each: Launch) -> str:
        try:
            kept.append(meeting.meet(each))
        except UserError as error:
            return f"({error})" if isinstance(error, PeerError) and not error.aloud else str(error)
        return ""

    kept: list[object] = []  # the store of process 0 is there until all are done
    with ThreadPoolExecutor(len(launches)) as pool:
        return list(pool.map(end, launches))


@contextmanager
def taken(answer: bytes | None) -> Iterator[int]:
    """A port that another program has, which answers so; with b"" it hangs up, with None it says nothing."""
    held = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                held.append(connection)
                if answer is not None:
                    connection.sendall(answer)
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        for each in held:
            each.close()


@contextmanager
def store(port: int) -> Iterator[TCPStore]:
    """A store that torchrun, or an earlier start, keeps."""
    kept = TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=5))
    yield kept


def test_all_meet_once() -> None:
    port = free_port()
    assert ends(*(launch(rank, port, 3) for rank in range(3))) == ["", "", ""]


@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_port_of_another_program_is_named_by_all(answer: bytes | None) -> None:
    with taken(answer) as port:
        first, second = ends(launch(0, port), launch(1, port))
    assert re.fullmatch(
        rf"port {port} cannot be opened \(.+\): another program has it, or an earlier start is not over; set another "
        "MASTER_PORT for all 2 processes",
        first,
    )
    assert (
        second == f"process 1 of 2: what answers at 127.0.0.1:{port} is not process 0; set another MASTER_PORT for all"
    )


def test_a_store_of_another_start_is_named() -> None:
    port = free_port()
    with store(port):
        (said,) = ends(launch(1, port))
    assert said == (
        f"process 1 of 2: what answers at 127.0.0.1:{port} belongs to another start; set another MASTER_PORT for all"
    )


def test_a_start_that_is_whole_takes_no_more() -> None:
    port = free_port()
    first = meeting.Launch(0, 2, "127.0.0.1", port, kept=False, meeting=10)
    second = launch(1, port)
    with ThreadPoolExecutor(2) as pool:
        stores = list(pool.map(meeting.meet, (first, second)))
    assert "belongs to another start" in ends(second)[0]
    del stores


def test_launches_of_other_sizes_are_told_apart_by_process_0() -> None:
    port = free_port()
    said = ends(launch(0, port, 2), launch(1, port, 3))
    assert said == ["WORLD_SIZE is 2 in process 0 and 3 in process 1; give 2 processes RANK 0 to 1"] * 2


def test_a_rank_that_two_have_is_refused() -> None:
    port = free_port()
    said = sorted(ends(launch(0, port, 3), launch(1, port, 3), launch(1, port, 3)))
    wrong = "two processes have RANK 1; give 3 processes RANK 0 to 2"
    assert said == [f"({wrong})", wrong, wrong]  # of the two, the first is silent


def test_who_does_not_come_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "WORD", 0.1)
    port = free_port()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        said = ends(launch(0, port, 4, meeting=4.0), launch(2, port, 4, meeting=4.0))
    wrong = (
        f"processes 1 and 3 of 4 did not come to 127.0.0.1:{port} in 4 s; start all 4 with the same MASTER_ADDR and "
    )
    assert said[0] == f"{wrong}MASTER_PORT"
    assert said[1] == f"({said[0]})"
    waits = [str(each.message) for each in heard if each.category is WaitingWarning]
    assert len(waits) == 1
    assert re.match(rf"process 0 waits at 127.0.0.1:{port} for processes 1 .*and 3 of 4, up to 4 s", waits[0])


def test_a_process_0_that_never_comes_is_waited_for_no_longer_than_said() -> None:
    port = free_port()
    (said,) = ends(launch(1, port, meeting=0.5))
    assert said == f"process 1 of 2: nobody answered at 127.0.0.1:{port} in 0.5 s; start process 0 there"


def test_a_name_that_nobody_knows_is_named() -> None:
    said = ends(launch(0, free_port(), host="nowhere.invalid"), launch(1, free_port(), host="nowhere.invalid"))
    wrong = "MASTER_ADDR nowhere.invalid: is not known here; give the name or address of process 0's machine"
    assert said == [wrong, f"process 1 of 2: {wrong}"]


def test_an_address_of_another_machine_is_no_place_for_process_0() -> None:
    said = ends(launch(0, free_port(), host="192.0.2.1"))  # of documents, and of no machine
    assert said == ["MASTER_ADDR 192.0.2.1: does not lead to this machine, which has process 0; correct it"]


def test_a_restart_does_not_take_what_an_attempt_left_for_its_own() -> None:
    """In a store that torchrun keeps: a round that was never closed, of another size, and one that was."""
    port = free_port()
    with store(port):
        assert "processes 1" in ends(launch(0, port, 3, kept=True, meeting=0.5))[0]
        both = launch(0, port, kept=True), launch(1, port, kept=True)
        left = meeting.PrefixStore(meeting._attempt(both[0]), TCPStore("127.0.0.1", port, is_master=False))
        left.set("open", f"{left.add('rounds', 1)} of 3")
        assert ends(*both) == ["", ""]
        assert ends(*both) == ["", ""]


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("MASTER_PORT", "abc", "MASTER_PORT abc: set a whole number from 1 to 65535, as torchrun does"),
        ("MASTER_PORT", "70000", "MASTER_PORT 70000: set a whole number from 1 to 65535, as torchrun does"),
        ("MASTER_PORT", None, "MASTER_PORT (not set): set a whole number from 1 to 65535, as torchrun does"),
        ("MASTER_ADDR", None, "MASTER_ADDR is not set; set it to the address of process 0's machine in all 2"),
        ("RANK", "2", "RANK 2: set a whole number from 0 to 1, as torchrun does"),
        ("RANK", "one", "RANK one: set a whole number from 0 to 1, as torchrun does"),
        ("WORLD_SIZE", "0", "WORLD_SIZE 0: set a whole number from 1 to 1000000, as torchrun does"),
        ("WORLD_SIZE", "1", "RANK 1: set 0, as torchrun does"),
        ("GANSMITH_PEER_SECONDS", "nan", "GANSMITH_PEER_SECONDS nan: give a number of seconds above 0, such as 600"),
    ],
)
def test_a_variable_that_cannot_be_is_named_by_whoever_has_it(
    name: str, value: str | None, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "first", "MASTER_PORT": "29500"}
    for each, right in given.items():
        monkeypatch.setenv(each, right)
    assert meeting.read() == Launch(1, 2, "first", 29500, kept=False)
    monkeypatch.delenv(name, raising=False)
    if value is not None:
        monkeypatch.setenv(name, value)
    with pytest.raises(PeerError, match=re.escape(what)) as caught:
        meeting.read()
    assert caught.value.aloud


def test_one_process_alone_needs_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert meeting.read() is None
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert meeting.read() is None


@pytest.mark.parametrize(("kept", "alike"), [(True, False), (False, True)])
def test_attempts_are_named_apart_only_in_a_store_that_outlives_them(
    kept: bool, alike: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = set()
    for count in ("0", "1"):  # of a torchrun that took another's place, and of one that restarted
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", count)
        names.add(meeting._attempt(launch(0, 29500, kept=kept)))
    assert (len(names) == 1) == alike
