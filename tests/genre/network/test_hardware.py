import pytest
import torch

from genre.network import hardware


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"train\.device cuda is not on this machine"):
        hardware.choose_hardware("cuda", "auto")
    assert hardware.choose_hardware("cpu", "float32").precision == "float32"


@pytest.mark.parametrize(
    ("capability", "device"), [((7, 0), "cpu"), ((7, 5), "cuda"), ((9, 0), "cuda"), ((12, 0), "cuda")]
)
def test_a_gpu_that_is_too_old_for_this_torch_is_not_taken(monkeypatch, capability, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80", "sm_90", "sm_120", "compute_120"])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert hardware.choose_hardware("auto", "float32").device == device


@pytest.mark.parametrize(
    ("known", "device"), [(["gfx90a", "gfx942"], "cuda"), (["sm_80", "sm_90a"], "cuda"), (["sm_90a"], "cpu")]
)
def test_builds_for_other_gpus_and_for_one_kind_alone_are_understood(monkeypatch, known, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: known)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    assert hardware.choose_hardware("auto", "float32").device == device


def test_a_cpu_is_taken_without_a_look_at_the_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("the GPU was asked for"))
    assert hardware.choose_hardware("cpu", "float32").device == "cpu"


@pytest.mark.parametrize(("device", "last"), [("cpu", True), ("mps", False)])
def test_channels_are_last_in_memory_but_on_mps_where_gradients_would_be_wrong(monkeypatch, device, last):
    network = torch.nn.Conv2d(4, 8, 3)
    monkeypatch.setattr(network, "to", lambda *place, to=network.to, **layout: to(**layout) if layout else None)
    hardware.Hardware(device, "float32", 1).place(network)
    assert network.weight.is_contiguous(memory_format=torch.channels_last) is last


@pytest.mark.parametrize(("tiles", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_a_cpu_computes_in_bfloat16_only_where_it_has_tiles_for_it(monkeypatch, tiles, precision):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    assert hardware.choose_hardware("cpu", "auto").precision == precision


def test_spectrograms_may_take_half_of_the_free_memory_of_a_gpu_and_none_of_a_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (1000, 4000))
    gpu = hardware.Hardware("cuda", "bfloat16", 1)
    assert gpu.has_room_for(500)
    assert not gpu.has_room_for(501)
    assert not hardware.Hardware("cpu", "float32", 1).has_room_for(1)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(), RuntimeError("can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    ],
)  # fmt: skip
def test_an_error_of_memory_names_the_parameters_to_lower(error):
    told = hardware.explained(error, "train.batch_size")
    assert str(told) == "out of memory; lower train.batch_size or model.base_channels"


def test_other_errors_stay_what_they_are():
    bug = RuntimeError("a bug")
    assert hardware.explained(bug, "train.batch_size") is bug
