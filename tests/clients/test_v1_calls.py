"""V1 with its own client, the wheel tensorrtserver 1.11.0: every call but inference, over HTTP and gRPC."""

from v1 import by_v1


@by_v1()
def test_health(at):
    with at.other("ServerHealthContext") as context:
        assert context.is_live() is True
        assert context.is_ready() is True


@by_v1()
def test_the_status_of_the_server(at):
    status = at.status()
    m = at.messages
    assert (status.id, status.ready_state) == ("inference:0", m.SERVER_READY)
    assert status.version and status.uptime_ns > 0
    assert {"simple", "simple_string", "simple_sequence", "colours", "ensemble"} <= set(status.model_status)
    for name in ("simple", "ensemble"):
        assert status.model_status[name].version_status[1].ready_state == m.MODEL_READY
    before = status.status_stats.success
    after = at.status().status_stats.success
    assert after.count > before.count and after.total_time_ns > before.total_time_ns
    assert status.health_stats.success.total_time_ns > 0


@by_v1()
def test_the_status_of_a_model_has_its_config(at):
    status = at.status("colours")
    assert list(status.model_status) == ["colours"]
    config = status.model_status["colours"].config
    assert (config.name, config.platform, config.max_batch_size) == ("colours", "onnxruntime_onnx", 4)
    (data,), (prob,) = config.input, config.output
    assert (data.name, data.data_type, list(data.dims), data.format) == ("data", 11, [3, 64, 64], 2)
    assert (prob.name, prob.data_type, list(prob.dims), prob.label_filename) == ("prob", 11, [3], "labels.txt")
    assert at.status("ensemble").model_status["ensemble"].config.platform == "ensemble"
    # It has a backend only, of which V1 does not know.
    assert at.status("any_fp32").model_status["any_fp32"].config.platform == "custom"


@by_v1()
def test_requests_are_counted_by_their_batch_size(at):
    np = at.np

    def counted():
        return at.status("simple").model_status["simple"].version_status[1]

    before = counted()
    row = np.arange(16, dtype=np.int32)
    with at.context("simple") as context:
        for size in (1, 3, 3):
            context.run({"INPUT0": [row] * size, "INPUT1": [row] * size}, {"OUTPUT0": at.RAW}, size)
    after = counted()
    for size, count in ((1, 1), (3, 2)):
        then, now = before.infer_stats[size], after.infer_stats[size]
        for of in ("success", "compute", "queue"):
            assert getattr(now, of).count - getattr(then, of).count == count, (size, of)
        assert now.success.total_time_ns >= now.compute.total_time_ns > 0
        assert now.failed.count == then.failed.count
    assert after.model_inference_count - before.model_inference_count == 7
    assert 1 <= after.model_execution_count - before.model_execution_count <= 3
    assert after.last_inference_timestamp_milliseconds > 1.7e12


@by_v1()
def test_an_unknown_model_has_no_status(at):
    with at.refused("no status available for unknown model 'nobody'"):
        at.status("nobody")
    try:
        at.context("nobody")
    except at.api.InferenceServerException as error:
        assert error.server_id() == "inference:0" and error.request_id() > 0
        number = error.request_id()
        assert str(error) == f"[inference:0 {number}] no status available for unknown model 'nobody'"
    else:
        raise AssertionError("a context needs the status of its model")


@by_v1()
def test_the_index_has_every_model(at):
    with at.other("ModelRepositoryContext") as context:
        names = [entry.name for entry in context.get_model_repository_index().models]
        assert context.get_last_request_id() > 0
    assert {"simple", "changing", "broken"} <= set(names)
    assert len(names) == len(set(names))


@by_v1()
def test_models_are_loaded_and_unloaded(at):
    np, m = at.np, at.messages
    row = np.arange(16, dtype=np.int32)
    inputs = {"INPUT0": [row], "INPUT1": [row]}
    with at.other("ModelControlContext") as control:
        control.load("changing")
        with at.context("changing") as context:
            assert (context.run(inputs, {"OUTPUT0": at.RAW})["OUTPUT0"][0] == 2 * row).all()
            control.unload("changing")
            with at.refused("Inference request for unknown model 'changing'"):
                context.run(inputs, {"OUTPUT0": at.RAW})
        version = at.status("changing").model_status["changing"].version_status[1]
        assert (version.ready_state, version.ready_state_reason.message) == (m.MODEL_UNAVAILABLE, "unloaded")
        control.unload("changing")
        control.unload("nobody")
        with at.refused("failed to load 'nobody', no version is available"):
            control.load("nobody")
        with at.refused("failed to load 'broken', versions that are not available: 1"):
            control.load("broken")
    version = at.status("broken").model_status["broken"].version_status[1]
    assert version.ready_state == m.MODEL_UNAVAILABLE and ": " in version.ready_state_reason.message


@by_v1()
def test_regions_are_registered_and_listed(at):
    name = f"v1_calls_{'http' if at.is_http else 'grpc'}"
    handle = at.shm.create_shared_memory_region(name, f"/{name}", 256)
    try:
        with at.other("SharedMemoryControlContext") as control:
            control.register(handle)
            with at.refused(f"shared memory region '{name}' already in manager"):
                control.register(handle)
            (region,) = [r for r in control.get_shared_memory_status().shared_memory_region if r.name == name]
            assert (region.system_shared_memory.shared_memory_key, region.byte_size) == (f"/{name}", 256)
            assert region.system_shared_memory.offset == 0
            control.unregister(handle)
            assert name not in [r.name for r in control.get_shared_memory_status().shared_memory_region]
            control.unregister(handle)
            control.register(handle)
            control.unregister_all()
            assert not control.get_shared_memory_status().shared_memory_region
    finally:
        at.shm.destroy_shared_memory_region(handle)
    with at.other("SharedMemoryControlContext") as control:
        with at.refused(f"Unable to open shared memory region: '/{name}'"):
            control.register(handle)
