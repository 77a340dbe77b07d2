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
