from __future__ import annotations

import json

import pytest

import haltline


@pytest.fixture
def incident(supervisor):
    with pytest.raises(haltline.Cancelled), supervisor.start("farm ⚔", "quick") as task:
        task.sleep(30)
    assert task.wait_outcome(20) == "stopped"
    return supervisor.incidents()[0]


def test_an_incident_explains_itself(incident):
    assert incident.task["name"] == "farm ⚔"
    assert incident.task["executor"] == "cooperative"
    assert (incident.cause["kind"], incident.cause["limit"]) == ("breach", "max_duration")
    assert incident.cause["observed"] >= incident.cause["bound"] == 0.05
    assert incident.cause["message"].startswith("max_duration")
    assert (incident.action, incident.outcome, incident.reason) == ("cancel", "stopped", None)
    assert incident.verified_after_ms >= 0
    assert (incident.forced_after_ms, incident.alive, incident.session) == (None, [], None)
    assert incident.time.endswith("Z")
    assert "farm ⚔" in incident.summary
    assert str(incident) == incident.summary
    assert isinstance(incident.samples, list)
    assert isinstance(incident.blame, list)


def test_an_incident_cannot_be_changed(incident):
    with pytest.raises(AttributeError):
        incident.outcome = "killed"
    incident.to_dict()["outcome"] = "killed"
    assert incident.outcome == "stopped"


def test_the_file_holds_what_the_incident_says(tmp_path):
    path = tmp_path / "incidents.jsonl"
    with haltline.Supervisor(incident_file=path) as supervisor:
        with supervisor.start("farm", "attack") as task:
            task.cancel("enough")
        assert task.wait_outcome(20)
        supervisor.flush()
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [supervisor.incidents()[0].to_dict()["id"]] == [line["id"] for line in lines]
        assert lines[0]["cause"] == {"asked": "enough"}
    with pytest.raises(haltline.IoError, match="incidents"):
        haltline.Supervisor(incident_file="/no/such/folder/incidents.jsonl")


def test_a_report_sums_up(supervisor, incident):
    report = supervisor.report()
    assert report.to_dict()["outcomes"] == {"stopped": 1}
    assert report.to_dict()["rules"] == {"max_duration": 1}
    assert "1 stopped" in str(report)


def test_a_session_gathers_the_incidents_of_its_tasks(supervisor):
    with supervisor.session("evening raid") as session:
        task = supervisor.start("farm", "attack")
        task.cancel("enough")
        task.finish()
        task.wait_outcome(20)
    with supervisor.start("after", "attack") as other:
        other.cancel("enough")
    other.wait_outcome(20)
    incidents = session.incidents()
    assert [i.task["name"] for i in incidents] == ["farm"]
    assert incidents[0].session == {"id": session.id, "name": "evening raid"}
    assert session.end() is None
    ended = supervisor.session("empty").end()
    assert ended is not None
    assert ended.to_dict()["lines"] == []


def test_the_status_counts(supervisor, incident):
    status = supervisor.status()
    assert (status["started"], status["finished"], status["stopped"], status["active"]) == (1, 1, 1, 0)
    assert status["incidents_lost"] == 0


def test_a_file_is_read_back(tmp_path):
    path, copy = tmp_path / "incidents.jsonl", tmp_path / "copy.jsonl"
    with haltline.Supervisor(incident_file=path) as supervisor:
        for name in ("first", "second"):
            with supervisor.start(name, "attack") as task:
                task.cancel("enough")
            assert task.wait_outcome(20) == "stopped"
        supervisor.flush()
        assert supervisor.export_incidents(copy) == 2
        known = [i.to_dict() for i in reversed(supervisor.incidents())]
    with open(path, "a") as file:
        file.write('{"schema": 1, "id": "cut sho')
    for each in (path, str(copy)):
        incidents = haltline.Incident.read_file(each)
        assert [i.task["name"] for i in incidents] == ["first", "second"]
        assert [i.to_dict() for i in incidents] == known
        assert (incidents[0].schema, incidents[0].unproved, incidents[0].top) == (1, False, [])
    copy.write_text('{"no": "incident"}\n')
    with pytest.raises(haltline.IoError, match="line 1"):
        haltline.Incident.read_file(copy)
    with pytest.raises(haltline.IoError, match="folder"):
        supervisor.export_incidents("/no/such/folder/x")
    for wrong in (tmp_path / "missing", tmp_path, "/etc/passwd", __file__):
        with pytest.raises(haltline.IoError, match=str(wrong)):
            haltline.Incident.read_file(wrong)


def test_an_incident_of_a_host_limit_names_the_busiest_processes(tmp_path):
    monitor = haltline.Monitor(interval=0.02)
    slow = haltline.Profile("slow", host={"max_latency_ms": 100}, sustain=0.2, grace=0.1, blame="any")
    path = tmp_path / "incidents.jsonl"
    with haltline.Supervisor(monitor=monitor, profiles=[slow], incident_file=path) as supervisor:
        with pytest.raises(haltline.Cancelled), supervisor.start("raid", "slow") as task:
            while True:
                monitor.latency(0.5)
                task.sleep(0.01)
        assert task.wait_outcome(20) == "stopped"
        supervisor.flush()
    (incident,) = haltline.Incident.read_file(path)
    assert incident.top
    assert all(p["pid"] > 0 and p["name"] and p["cpu_percent"] >= 0 for p in incident.top)
    assert incident.unproved is False


def test_a_session_sums_up_while_it_is_open(supervisor):
    with supervisor.session("evening raid") as session:
        with supervisor.start("farm", "attack") as task:
            task.cancel("enough")
        assert task.wait_outcome(20)
        assert session.report().to_dict()["outcomes"] == {"stopped": 1}
    assert session.report() is None


@pytest.mark.parametrize("raised", [KeyError("sword"), KeyboardInterrupt(), "cancelled", None])
def test_a_full_disk_does_not_hide_what_left_the_block(raised, monkeypatch):
    told = []
    monkeypatch.setattr("sys.unraisablehook", lambda report: told.append(report.exc_value))
    expected = (KeyError, KeyboardInterrupt, haltline.Cancelled, haltline.IoError)
    with pytest.raises(expected) as left, haltline.Supervisor(incident_file="/dev/full") as supervisor:
        task = supervisor.start("farm", "attack")
        task.cancel("enough")
        task.finish()
        assert task.wait_outcome(20) == "stopped"
        if raised == "cancelled":
            task.check()
        elif raised is not None:
            raise raised
    if raised is None:
        assert isinstance(left.value, haltline.IoError)
        assert told == []
        return
    assert left.value is raised or isinstance(left.value, haltline.Cancelled)
    assert [type(each) for each in told] == [haltline.IoError]
    assert "/dev/full" in str(told[0])
