"""The bench itself: its load client notices what it is there to notice, its tables say what was found."""

from __future__ import annotations

import json
import socket
import sys
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from tests.bench.against import checked_out, interval, print_ratios, ratios
from tests.bench.catalogue import AGAINST, OURS, PEERS
from tests.bench.centrifugo import Centrifugo
from tests.bench.client import PATIENCE, Client, Stream
from tests.bench.deflate import DeflateWatcher
from tests.bench.plot import bars
from tests.bench.process import Server
from tests.bench.pumps import HubPump, RedisPump, hub_pumps, run_all
from tests.bench.report import BEGIN, END, keep, verdict_table, write_page
from tests.bench.scenario import ROUND, Verdict, at_most
from tests.bench.scenarios import SCENARIOS
from tests.bench.scenarios.dialects import LANGUAGES, spent
from tests.bench.scenarios.fanout import BURST, burst, single
from tests.bench.scenarios.reconnect import RECONNECT
from tests.bench.storm import StormClient
from tests.bench.wire import DeliveryError, Nchan, SocketIo, event, frame_end, publish, take_frames
from tests.wsclient import deflated

HUB = PEERS[OURS]


def frame(number: int) -> bytes:
    payload = event(number).encode()
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload


class TestShortRunsAgainstTheHub:
    def test_a_burst_gives_every_figure(self) -> None:
        figures = burst(HUB, watchers=5, most=50)
        assert set(figures) == {"us", "rate", "events", "load"}
        assert all(value > 0 for value in figures.values())

    def test_one_at_a_time(self) -> None:
        assert single(HUB, watchers=5, events=10)["us"] > 0

    @pytest.mark.parametrize("name", LANGUAGES)
    def test_every_language_is_delivered_in(self, name: str) -> None:
        with HUB.start() as server:
            assert spent(server, LANGUAGES[name], watchers=5, events=10) > 0

    def test_producers_are_all_answered_in_order(self) -> None:
        with HUB.start() as server:
            pumps = hub_pumps(server.port, 3, 40, 8)
            assert run_all(pumps) > 0
        assert [pump.answered for pump in pumps] == [40, 40, 40]

    def test_many_connect_in_one_moment_and_get_what_is_published(self) -> None:
        with HUB.start() as server:
            client = StormClient(server.port)
            try:
                client.open_producer()
                client.prime()
                client.connect_at_once(40, "/ws/updates?project_id=bench", native=True, must=b'"subscribed"')
                client.burst(10)
            finally:
                client.close()
        assert client.received_bytes == 40 * client.stream.ends[-1]

    def test_a_watcher_that_is_gone_fails_the_run(self) -> None:
        with HUB.start() as server:
            client = Client(server.port)
            try:
                client.connect(2)
                client.open_producer()
                server.kill()
                with pytest.raises((DeliveryError, ConnectionError)):
                    client.burst(1)
            finally:
                client.close()


class TestStream:
    def test_takes_what_is_right_in_any_pieces(self) -> None:
        whole = frame(0) + frame(1)
        stream = Stream()
        for at in range(len(whole)):
            stream.compare(at, whole[at : at + 1])
        stream.compare(0, memoryview(whole))
        assert stream.events == 2

    @pytest.mark.parametrize("wrong", [frame(1), frame(0) + frame(0), frame(0) + frame(2)])
    def test_a_lost_or_doubled_event_fails_the_run(self, wrong: bytes) -> None:
        with pytest.raises(DeliveryError, match="expected event"):
            Stream().compare(0, wrong)

    def test_a_watcher_with_other_bytes_fails_the_run(self) -> None:
        stream = Stream()
        stream.compare(0, frame(0))
        with pytest.raises(DeliveryError, match="other bytes"):
            stream.compare(0, frame(0).replace(b"running", b"runninG"))

    def test_other_bytes_fail_the_run_where_a_piece_goes_beyond_what_is_known(self) -> None:
        stream = Stream()
        stream.compare(0, frame(0))
        with pytest.raises(DeliveryError, match="other bytes"):
            stream.compare(0, frame(0).replace(b"running", b"runninG") + frame(1))

    def test_a_control_frame_fails_the_run(self) -> None:
        with pytest.raises(DeliveryError, match="not a whole text frame"):
            Stream().compare(0, b"\x89\x00")


class TestCompressedWatchers:
    HEAD = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    GREETING = (b'{"id":1,"connect":{}}\n', b'{"id":2,"subscribe":{}}\n')
    PUSH = b'{"push":{"n": 0, "x":1}}\n'

    def serve(self, listener: socket.socket, come: Event) -> None:
        """Answer one client in small pieces with a greeting of two messages; then send what everybody gets
        once the client has `come`.
        """
        peer, _ = listener.accept()
        with peer:
            frames = [bytes((0x81, len(one))) + one for one in self.GREETING]
            packed = deflated(self.PUSH)  # in two frames, of which the second is a continuation
            frames.append(bytes((0x41, 9)) + packed[:9] + bytes((0x80, len(packed) - 9)) + packed[9:])
            greeting = self.HEAD + frames[0] + frames[1]
            for at in range(0, len(greeting), 7):
                peer.sendall(greeting[at : at + 7])
            if come.wait(PATIENCE):
                peer.sendall(frames[2])
            while peer.recv(4096):
                pass

    def test_a_watcher_is_there_when_its_greeting_has_come_and_joins_fragments(self) -> None:
        come = Event()
        with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
            pool.submit(self.serve, listener, come)
            watcher = DeflateWatcher(listener.getsockname()[1], Centrifugo(), compressed=True)
            with watcher.sock:
                come.set()
                found: list[bytes] = []
                while not found:
                    found += watcher.take()
        assert found == [self.PUSH]


class TestAnswers:
    ACK = (
        '{{"type":"ack","id":{id},"positions":[{{"project_id":"p","epoch":"e","seq":{seq}}}],'
        '"duplicate":false}}'
    )

    def pump(self) -> HubPump:
        pump = HubPump.__new__(HubPump)
        pump.answered = 0
        return pump

    def test_acks_are_counted_over_cut_pieces(self) -> None:
        data = "".join(self.ACK.format(id=n, seq=n) for n in range(1, 13)).encode()
        for size in (1, 7, len(data)):
            pump, rest = self.pump(), b""
            for at in range(0, len(data), size):
                rest = pump.check(rest + data[at : at + size])
            assert pump.answered == 12

    @pytest.mark.parametrize(("id_", "seq"), [(2, 1), (1, 2), (0, 0)])
    def test_an_ack_out_of_turn_fails_the_run(self, id_: int, seq: int) -> None:
        with pytest.raises(DeliveryError, match="expected the answer"):
            self.pump().check(self.ACK.format(id=id_, seq=seq).encode())

    def test_a_refusal_fails_the_run(self) -> None:
        with pytest.raises(DeliveryError, match="was answered"):
            self.pump().check(b'{"type":"error","id":1}')

    def test_redis_entry_ids_are_counted_over_cut_pieces(self) -> None:
        pump = RedisPump.__new__(RedisPump)
        pump.answered, rest = 0, b""
        data = b"$15\r\n1795249506000-0\r\n" * 3
        for at in range(0, len(data), 4):
            rest = pump.check(rest + data[at : at + 4])
        assert (pump.answered, rest) == (3, b"")
        with pytest.raises(DeliveryError):
            pump.check(b"-OOM command not allowed\r\nx\r\n")

    def test_each_language_finds_its_numbers(self) -> None:
        assert SocketIo().number(b'42["event",' + event(7).encode() + b"]") == 7
        assert SocketIo().acked(b"4312[true]", 12) == 12
        assert Nchan().acked(b"queued messages: 3\r\n", 9) == 9
        with pytest.raises(DeliveryError):
            Nchan().acked(b"403", 9)


class TestCentrifugo:
    SPEECH = Centrifugo()

    def line(self, number: int) -> str:
        return f'{{"push":{{"channel":"bench","pub":{{"data":{event(number)},"offset":{number + 1}}}}}}}'

    def frame(self, *lines: str) -> bytes:
        payload = "\n".join(lines).encode()
        return b"\x81\x7f" + len(payload).to_bytes(8, "big") + payload

    def test_watchers_get_the_same_lines_however_they_are_framed(self) -> None:
        lines = [self.line(number) for number in range(4)]
        together = self.frame(*lines)
        apart = b"".join(map(self.frame, lines))
        stream = Stream(self.SPEECH)
        for data, step in ((together, len(together)), (apart, 1), (apart, 300)):
            unframed, offset = self.SPEECH.unframed(), 0
            for at in range(0, len(data), step):
                piece = unframed.take(data[at : at + step])
                stream.compare(offset, piece)
                offset += len(piece)
            assert offset == stream.ends[-1]
        assert stream.events == 4

    def test_a_lost_event_fails_the_run(self) -> None:
        with pytest.raises(DeliveryError, match="expected event 1, got 2"):
            Stream(self.SPEECH).compare(
                0, self.SPEECH.unframed().take(self.frame(self.line(0), self.line(2)))
            )

    def test_a_greeting_is_counted_in_lines(self) -> None:
        one, two = '{"id":1,"connect":{}}', '{"id":2,"subscribe":{}}'
        for data in (self.frame(one, two), self.frame(one) + self.frame(two)):
            rest = bytearray(data + self.frame(self.line(0)))
            assert self.SPEECH.greeting_end(rest, 0, 2) == len(data)
            assert self.SPEECH.greeting_end(bytearray(data[:-1]), 0, 2) == 0
        refusal = self.frame(one, '{"id":2,"error":{"code":103,"message":"permission denied"}}')
        with pytest.raises(DeliveryError, match="permission denied"):
            self.SPEECH.greeting_end(bytearray(refusal), 0, 2)

    def test_replies_are_found_by_the_id_of_their_command(self) -> None:
        sent = self.SPEECH.publish(5)
        id_ = json.loads(sent[8:])["id"]
        answers = list(
            self.SPEECH.answers(f'{{"id":{id_},"publish":{{}}}}\n{{"id":9,"error":{{}}}}'.encode())
        )
        assert self.SPEECH.acked(answers[0], 5) == 5
        with pytest.raises(DeliveryError, match="publish 6 was answered"):
            self.SPEECH.acked(answers[1], 6)


class TestLogs:
    def test_a_hub_logs_to_a_file_as_by_default(self) -> None:
        with HUB.start() as server:
            client = Client(server.port)
            try:
                client.connect(2, native=True)  # greeted, so that the lines are written
            finally:
                client.close()
            assert server.log_tail().count("opened") == 2

    def test_a_server_that_does_not_start_shows_its_log(self, tmp_path: Path) -> None:
        command = [sys.executable, "-c", "raise SystemExit('no port left')"]
        with pytest.raises(RuntimeError, match="exit code 1\nno port left"):
            Server("a server", command, folder=tmp_path)


class TestFrames:
    def test_whole_frames_are_taken_and_the_rest_is_left(self) -> None:
        data = bytearray(b"\x81\x02hi" + frame(3) + b"\x81\x7e")
        assert [piece[:2] for piece in take_frames(data)] == [b"hi", b'{"']
        assert data == b"\x81\x7e"

    def test_a_client_frame_says_its_length(self) -> None:
        sent = publish(5)
        assert frame_end(sent[:1] + bytes((sent[1] & 0x7F,)) + sent[2:4] + sent[8:], 0)[1] == len(sent) - 4


class TestAgainst:
    def found(self, ours: dict[int, float], theirs: dict[int, float]) -> dict[str, list[dict[str, float]]]:
        sides = {OURS: ours, AGAINST: theirs}
        return {name: [{ROUND: at, "us": us} for at, us in side.items()] for name, side in sides.items()}

    def test_only_figures_of_one_round_are_divided(self) -> None:
        assert ratios(self.found({1: 2.0, 3: 9.0}, {1: 1.0, 2: 5.0, 3: 3.0}), "us") == [2.0, 3.0]

    def test_fewer_than_six_rounds_have_no_interval(self) -> None:
        assert interval([1.0] * 5) is None
        assert interval([3.0, 1.0, 6.0, 2.0, 5.0, 4.0]) == (1.0, 6.0)

    def test_twenty_rounds_leave_out_five_at_either_end(self) -> None:
        assert interval([float(at) for at in range(1, 21)]) == (6.0, 15.0)

    def test_a_figure_is_worse_only_where_its_whole_interval_is(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for ours, worse in ((1.04, True), (1.02, False), (0.5, False)):
            rounds = range(6)
            print_ratios(BURST, self.found(dict.fromkeys(rounds, ours), dict.fromkeys(rounds, 1.0)))
            assert ("WORSE" in capsys.readouterr().out) is worse

    def test_another_commit_is_checked_out_and_measured_beside_this_one(self) -> None:
        other = checked_out("HEAD")
        assert (other.checkout / "tasktree_rt" / "hub").is_dir()
        assert burst(other, watchers=2, most=20)["us"] > 0

    def test_a_commit_that_is_not_there_is_told(self) -> None:
        with pytest.raises(SystemExit, match="no commit 'nowhere'"):
            checked_out("nowhere")


class TestPace:
    def test_events_keep_their_distance_over_calls(self, monkeypatch: pytest.MonkeyPatch) -> None:
        client, now, published = Client(0), [100.0], list[float]()

        def one_by_one(count: int) -> list[float]:
            published.append(now[0])
            return [0.0] * count

        monkeypatch.setattr(time, "perf_counter", lambda: now[0])
        monkeypatch.setattr(client, "turn", lambda wait: now.__setitem__(0, now[0] + wait))
        monkeypatch.setattr(client, "one_by_one", one_by_one)
        for _ in range(3):
            client.paced(1, 0.25)
        now[0] += 10
        client.paced(2, 0.25)
        assert published == [100.0, 100.25, 100.5, 110.5, 110.75]


class TestReport:
    def found(self, ours: float, theirs: float) -> dict[str, list[dict[str, float]]]:
        return {
            OURS: [{"current_s": ours, "cpu_s": 1}],
            "fastapi-uvloop": [{"current_s": theirs, "cpu_s": 1}],
            "fastapi-asyncio": [{"current_s": theirs, "cpu_s": 1}],
        }

    def test_a_verdict_compares_medians_with_what_is_wanted(self) -> None:
        assert at_most(self.found(2, 1), "x", "current_s", "fastapi-uvloop", 2, "≤ 2").met is True
        assert at_most(self.found(2.1, 1), "x", "current_s", "fastapi-uvloop", 2, "≤ 2").met is False
        assert at_most(self.found(2, 1), "x", "current_s", "nchan", 2, "≤ 2").met is None

    def test_what_is_measured_again_replaces_and_the_rest_is_kept(self, tmp_path: Path) -> None:
        keep(RECONNECT, self.found(9, 1), tmp_path)
        merged = keep(RECONNECT, {OURS: [{"current_s": 1.5, "cpu_s": 1}]}, tmp_path)
        assert (merged[OURS][0]["current_s"], merged["fastapi-uvloop"][0]["current_s"]) == (1.5, 1)
        assert json.loads((tmp_path / "benchmarks" / "reconnect.json").read_text())["peers"] == merged

    def test_the_page_changes_only_between_its_markers(self, tmp_path: Path) -> None:
        page = tmp_path / "benchmarks.md"
        page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
        keep(RECONNECT, self.found(3, 1), tmp_path)
        write_page(tmp_path)
        text = page.read_text()
        assert text.startswith("before\n")
        assert text.endswith("\nafter\n")
        assert "old" not in text
        assert "**not met**" in text
        assert (tmp_path / "benchmarks" / "reconnect-current_s.svg").is_file()

    def test_a_verdict_is_a_row(self) -> None:
        assert "| a | ≤ 1 | 0.5 | met |" in verdict_table([Verdict("a", "≤ 1", "0.5", True)])

    def test_a_plot_is_well_formed_and_names_every_peer(self) -> None:
        drawn = bars("CPU & `more`", [("a < b", (1.0, 0.5, 2.0), True), ("other", (3.0, 3.0, 3.0), False)], 1)
        words = [element.text for element in ET.fromstring(drawn).iter()]  # noqa: S314
        assert {"CPU & more", "a < b", "other", "1.0", "3.0"} <= set(words)


def test_every_scenario_judges_and_shows_what_nobody_measured() -> None:
    for name, scenario in SCENARIOS.items():
        assert scenario.name == name
        assert scenario.judge({})
        assert all(verdict.met is None for verdict in scenario.judge({}))
        assert set(scenario.plotted) <= set(scenario.units)
        assert set(scenario.peers) <= set(PEERS)
