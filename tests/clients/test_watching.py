"""Poll mode: models that are put into the repository, changed and removed while the server runs."""

import os
import re
import time

import numpy as np
import pytest
import s3
from live import CONFIG, Folder, adds, chain
from server_process import ServerProcess
from tritonclient.utils import InferenceServerException

X = np.zeros(1, np.int32)


@pytest.fixture
def folder(tmp_path):
    """A repository with `m`, which adds 1."""
    folder = Folder(tmp_path)
    folder.add("m", {1: adds(1)})
    return folder


@pytest.fixture
def serve(client_of):
    """serve(*repositories): a server in poll mode, and a client of it. It never looks unless it is told of something."""
    servers = []

    def start(*repositories, flags=("--repository-poll-secs=0",), **more):
        server = ServerProcess(*repositories, flags=["--model-control-mode=poll", *flags], **more)
        servers.append(server)
        server.start()
        return server, client_of("http", server)

    yield start
    for server in servers:
        assert server.stop() == 0, server.log()


@pytest.fixture
def within():
    """within(condition): waits until it holds, at most 30 seconds. Errors of the server count as no."""

    def wait(condition):
        deadline = time.monotonic() + 30
        while True:
            try:
                held, last = condition(), None
            except InferenceServerException as error:
                held, last = False, error
            if held:
                return
            assert time.monotonic() < deadline, f"it did not come true: {last}"
            time.sleep(0.02)

    return wait


def answer(client, model="m", **options):
    return int(client.infer(model, [client.input("x", X, "INT32")], **options).as_numpy("y")[0])


def index(client):
    """{name: {version: (state, reason)}}"""
    models = {}
    for entry in client.get_model_repository_index():
        states = models.setdefault(entry["name"], {})
        if "version" in entry:
            states[entry["version"]] = (entry["state"], entry.get("reason", ""))
    return models


def test_models_come_change_and_go(folder, serve, within):
    server, client = serve(folder.path)
    assert answer(client) == 1
    folder.add("new", {1: adds(2)})
    within(lambda: answer(client, "new") == 2)
    folder.add("without_config", {1: adds(3)})
    folder.file("without_config", "config.pbtxt").unlink()
    within(lambda: answer(client, "without_config") == 3)

    folder.replace(adds(4), "m", "1", "model.onnx")
    within(lambda: answer(client) == 4)
    folder.overwrite(adds(5), "m", "1", "model.onnx")
    within(lambda: answer(client) == 5)

    os.rename(folder.prepare({7: adds(6)}) / "7", folder.file("m", "7"))
    within(lambda: answer(client) == 6)
    assert index(client)["m"]["7"][0] == "READY"
    folder.remove("m", "7")
    within(lambda: answer(client) == 5)

    os.rename(folder.file("new"), folder.file("renamed"))
    within(lambda: answer(client, "renamed") == 2)
    within(lambda: not client.is_model_ready("new"))
    folder.remove("renamed")
    within(lambda: not client.is_model_ready("renamed"))
    assert set(index(client)) == {"m", "without_config"}
    assert "ERROR" not in server.log(), server.log()


def test_edited_configs_and_labels_are_taken_up(folder, serve, within):
    _, client = serve(folder.path)
    folder.replace(CONFIG + "instance_group { count: 3 }\n", "m", "config.pbtxt")
    within(lambda: client.get_model_config("m")["instance_group"][0]["count"] == 3)
    labels = CONFIG.replace("output [ { ", 'output [ { label_filename: "labels.txt" ')
    folder.file("m", "labels.txt").write_text("zero\n")
    folder.replace(labels, "m", "config.pbtxt")

    def label():
        wanted = [client.output("y", class_count=1)]
        result = client.infer("m", [client.input("x", X, "INT32")], outputs=wanted)
        return result.as_numpy("y")[0].decode().split(":")[-1]

    within(lambda: label() == "zero")
    folder.replace("other\n", "m", "labels.txt")
    within(lambda: label() == "other")


def test_a_file_that_is_still_being_written_is_not_loaded(folder, serve, within):
    server, client = serve(folder.path)
    whole, marks = adds(2), iter(range(100))

    def a_change_is_taken_up():
        """What happened before was noticed then, and would have settled."""
        mark = next(marks)
        folder.add(f"mark{mark}", {1: adds(mark)})
        within(lambda: answer(client, f"mark{mark}") == mark)

    # Put in its place at once: a folder that stays empty for long enough would be a model without a file.
    folder.file(".slow", "1").mkdir(parents=True)
    with open(folder.file(".slow", "1", "model.onnx"), "wb", buffering=0) as file:
        file.write(whole[: len(whole) // 2])
        folder.file(".slow").rename(folder.file("slow"))
        with open(folder.file("m", "1", "model.onnx"), "wb", buffering=0) as other:
            other.write(whole[: len(whole) // 2])
            a_change_is_taken_up()
            a_change_is_taken_up()
            assert answer(client) == 1
            assert not client.is_model_ready("slow")
            other.write(whole[len(whole) // 2 :])
        within(lambda: answer(client) == 2)
        assert not client.is_model_ready("slow")
        file.write(whole[len(whole) // 2 :])
    within(lambda: answer(client, "slow") == 2)
    assert server.metric("nv_model_load_failure") == 0
    assert "failed" not in server.log(), server.log()


def test_a_fault_leaves_the_former_serving_is_told_once_and_healed_by_the_next_edit(folder, serve, within):
    server, client = serve(folder.path, flags=["--repository-poll-secs=1"])
    failures = lambda: server.metric("nv_model_load_failure", model="m")  # noqa: E731
    folder.overwrite(adds(2)[:1000], "m", "1", "model.onnx")
    within(lambda: failures() == 1)
    assert answer(client) == 1
    state, reason = index(client)["m"]["1"]
    assert state == "READY" and "version 1" in reason or "model.onnx" in reason, reason
    folder.replace("name: 'm'\nbackend: \"onnxruntime\"\nmax_batch: 3\n", "m", "config.pbtxt")
    within(lambda: failures() == 2)
    assert "max_batch" in index(client)["m"]["1"][1]
    folder.add("next", {1: adds(3)})
    within(lambda: answer(client, "next") == 3)
    assert answer(client) == 1 and failures() == 2
    assert len(re.findall("failed to load model 'm'", server.log())) == 2, server.log()
    folder.replace(adds(4), "m", "1", "model.onnx")
    folder.replace(CONFIG, "m", "config.pbtxt")
    within(lambda: answer(client) == 4)
    assert index(client)["m"]["1"] == ("READY", "")
    assert server.get("/v2/health/ready")[0] == 200


def test_links_swapped_as_kubernetes_does_it(folder, serve, within):
    def data(number):
        target = folder.prepare({1: adds(number)})
        (target / "model.onnx").write_bytes(adds(number))
        os.rename(target, folder.file("linked", f"..{number}"))
        return f"..{number}"

    folder.file("linked", "1").mkdir(parents=True)
    os.symlink(data(1), folder.file("linked", "..data"))
    os.symlink("..data/config.pbtxt", folder.file("linked", "config.pbtxt"))
    os.symlink("../..data/model.onnx", folder.file("linked", "1", "model.onnx"))
    elsewhere = folder.prepare({1: adds(10)})
    os.symlink(elsewhere, folder.file("outside"))
    _, client = serve(folder.path)
    assert (answer(client, "linked"), answer(client, "outside")) == (1, 10)

    os.symlink(data(2), folder.file("linked", "..new"))
    os.rename(folder.file("linked", "..new"), folder.file("linked", "..data"))
    folder.remove("linked", "..1")
    within(lambda: answer(client, "linked") == 2)

    # In the folder outside, and then another folder.
    (elsewhere / "1" / "model.onnx").write_bytes(adds(11))
    within(lambda: answer(client, "outside") == 11)
    os.symlink(folder.prepare({1: adds(12)}), folder.aside / "link")
    os.rename(folder.aside / "link", folder.file("outside"))
    within(lambda: answer(client, "outside") == 12)


def lead(target, link):
    """A link that leads elsewhere at once."""
    new = link.with_name("..new")
    os.symlink(target, new)
    os.replace(new, link)


def test_links_that_lead_out_by_other_links_are_noticed_at_once(folder, tmp_path, serve, within):
    # A ConfigMap beside the repository, and a model file of which one link says which it is.
    volume, store = tmp_path / "volume", tmp_path / "store"
    for place in (volume / "..1", volume / "..2", store / "v1", store / "v2"):
        place.mkdir(parents=True)
    for number in (1, 2):
        (store / f"v{number}" / "model.onnx").write_bytes(adds(number))
        config = CONFIG + f"instance_group {{ count: {number} }}\n"
        (volume / f"..{number}" / "config.pbtxt").write_text(config)
    os.symlink("..1", volume / "..data")
    os.symlink("..data/config.pbtxt", volume / "config.pbtxt")
    os.symlink("v1", store / "current")
    folder.file("linked", "1").mkdir(parents=True)
    os.symlink(volume / "config.pbtxt", folder.file("linked", "config.pbtxt"))
    os.symlink(store / "current" / "model.onnx", folder.file("linked", "1", "model.onnx"))
    _, client = serve(folder.path)
    instances = lambda: client.get_model_config("linked")["instance_group"][0]["count"]  # noqa: E731
    assert (answer(client, "linked"), instances()) == (1, 1)

    lead("..2", volume / "..data")
    within(lambda: instances() == 2)
    assert answer(client, "linked") == 1
    lead("v2", store / "current")
    within(lambda: answer(client, "linked") == 2)
    # The file at the end, another one and then written over.
    (store / "new").write_bytes(adds(3))
    os.replace(store / "new", store / "v2" / "model.onnx")
    within(lambda: answer(client, "linked") == 3)
    (store / "v2" / "model.onnx").write_bytes(adds(4))
    within(lambda: answer(client, "linked") == 4)


def test_a_repository_behind_a_link_is_followed_to_where_it_leads(tmp_path, serve, within):
    releases = []
    for number in (1, 2):
        place = tmp_path / f"release{number}"
        place.mkdir()
        releases.append(Folder(place))
        releases[-1].add("m", {1: adds(number)})
    releases[1].add("new", {1: adds(20)})
    link = tmp_path / "current"
    os.symlink("release1", link)
    _, client = serve(link / "models")
    assert answer(client) == 1
    lead("release2", link)
    within(lambda: (answer(client), answer(client, "new")) == (2, 20))
    releases[1].replace(adds(3), "m", "1", "model.onnx")
    within(lambda: answer(client) == 3)
    lead("release1", link)
    within(lambda: answer(client) == 1 and not client.is_model_ready("new"))


def test_an_ensemble_and_its_models_change_together_or_not_at_all(folder, serve, within):
    folder.add("b", {1: adds(10)})
    folder.add("both", {1: None}, chain("m", "b"))
    server, client = serve(folder.path)
    assert answer(client, "both") == 11
    folder.replace(adds(2), "m", "1", "model.onnx")
    folder.replace(b"not a model", "b", "1", "model.onnx")
    folder.replace(chain("b", "m"), "both", "config.pbtxt")
    within(lambda: "change together or not at all" in server.log())
    assert (answer(client, "both"), answer(client)) == (11, 1)
    folder.replace(adds(20), "b", "1", "model.onnx")
    within(lambda: answer(client, "both") == 22)
    assert answer(client) == 2
    # A model that it needs no more goes together with the edit that says so.
    folder.replace(chain("m"), "both", "config.pbtxt")
    folder.remove("b")
    within(lambda: answer(client, "both") == 2)
    within(lambda: not client.is_model_ready("b"))


def test_a_name_that_is_there_twice_is_served_again_when_one_is_gone(folder, tmp_path, serve, within):
    other = tmp_path / "second"
    other.mkdir()
    second = Folder(other)
    server, client = serve(folder.path, second.path)
    second.add("mark", {1: adds(3)})
    second.add("m", {1: adds(2)})
    within(lambda: not client.is_model_ready("m"))
    assert server.log().count("model 'm' is in more than one repository") == 1
    (line,) = [line for line in client.get_model_repository_index() if line["name"] == "m"]
    assert line["reason"] == "model appears in two or more repositories"
    within(lambda: answer(client, "mark") == 3)
    folder.remove("m")
    within(lambda: answer(client) == 2)


def test_a_repository_that_is_away_for_a_moment_has_not_lost_its_models(folder, tmp_path, serve, within):
    server, client = serve(folder.path, flags=["--repository-poll-secs=1"])
    os.rename(folder.path, tmp_path / "away")
    within(lambda: "failed to read model repository" in server.log())
    assert answer(client) == 1
    os.rename(tmp_path / "away", folder.path)
    within(lambda: "no longer so: failed to read" in server.log())
    folder.replace(adds(2), "m", "1", "model.onnx")
    within(lambda: answer(client) == 2)


def test_a_pending_edit_unloads_nothing_while_the_repository_is_away(folder, tmp_path, serve, within):
    folder.add("linked", {1: adds(3)})
    os.rename(os.path.join(folder.path, "linked"), tmp_path / "target")
    os.symlink(tmp_path / "target", os.path.join(folder.path, "linked"))
    server, client = serve(folder.path, flags=["--repository-poll-secs=0"])
    assert answer(client, "linked") == 3
    folder.replace(adds(2), "m", "1", "model.onnx")
    os.rename(folder.path, tmp_path / "away")
    within(lambda: "failed to read model repository" in server.log())
    os.rename(tmp_path / "away", folder.path)
    within(lambda: answer(client) == 2)
    assert answer(client, "linked") == 3
    assert "unloaded model" not in server.log()


def test_what_is_missing_at_the_start_may_come_later(folder, serve, within):
    folder.add("broken", {1: b"not a model"})
    server, client = serve(
        folder.path, flags=["--exit-on-error=false", "--repository-poll-secs=0"], ready=False
    )
    within(lambda: answer(client) == 1)
    assert server.get("/v2/health/ready")[0] == 400
    folder.replace(adds(2), "broken", "1", "model.onnx")
    within(lambda: answer(client, "broken") == 2)
    within(lambda: server.get("/v2/health/ready")[0] == 200)
    assert server.log().count("failed to load model 'broken'") == 1


def test_clients_do_not_load_and_unload(folder, serve):
    _, client = serve(folder.path)
    for call in (client.load_model, client.unload_model):
        with pytest.raises(InferenceServerException, match="not allowed if polling is enabled"):
            call("m")


def test_an_object_store_is_followed_by_its_etags(serve, within):
    # A place of its own: what a server of this kind holds is shared by all of a process.
    store = s3.Store()
    try:
        store.put("watched/m/config.pbtxt", CONFIG)
        store.put("watched/m/1/model.onnx", adds(1))
        place = f"s3://{store.host}:{store.port}/{s3.BUCKET}/watched"
        _, client = serve(place, flags=["--repository-poll-secs=1"], variables=s3.KEY)
        assert answer(client) == 1
        store.put("watched/m/1/model.onnx", adds(2))
        store.put("watched/new/1/model.onnx", adds(3))
        within(lambda: (answer(client), answer(client, "new")) == (2, 3))
        for key in ("config.pbtxt", "1/model.onnx"):
            store.delete(f"watched/m/{key}")
        within(lambda: not client.is_model_ready("m"))
        assert answer(client, "new") == 3
    finally:
        store.stop()
