import os
import time
from pathlib import Path


def get_rank():
    return int(os.environ["RANK"])


def get_world_size():
    return int(os.environ["WORLD_SIZE"])


def init_process_group(backend, timeout):
    assert backend == "nccl" and timeout.total_seconds() > 0
    while os.environ.get("STAND_IN_ABSENT") == os.environ["RANK"]:
        time.sleep(1)


def all_reduce(numbers):
    folder = Path(os.environ["STAND_IN"], "ranks")
    folder.mkdir(exist_ok=True)
    Path(folder, f"{get_rank()}.tmp").write_text(str(numbers.value))
    os.replace(folder / f"{get_rank()}.tmp", folder / f"{get_rank()}")
    while len(list(folder.glob("*[0-9]"))) < get_world_size():
        time.sleep(0.05)
    numbers.value = sum(float(path.read_text()) for path in folder.glob("*[0-9]"))


def destroy_process_group():
    pass
