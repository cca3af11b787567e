#!/usr/bin/env python3
"""What training needs, checked in seconds: preflight.py [--gpus N] [--checkpoints DIR] SCRIPT

preflight.py --all-reduce SECONDS is run by torchrun instead: every rank adds up a small tensor with all others.

Every problem is printed with its remedy; exit code 0 when there is none, 2 otherwise. Without --gpus nothing is
asked of PyTorch, so that a login node can be checked as well.
"""

import argparse
import ast
import importlib.util
import os
import sqlite3
import sys
from pathlib import Path


def proj_problems():
    """PROJ_DATA names the database that rasterio's PROJ can read: images hold several, of different versions."""
    folder = os.environ.get("PROJ_DATA") or os.environ.get("PROJ_LIB")
    try:
        import rasterio
    except ImportError as error:
        yield f"rasterio cannot be imported ({error}): install it in the image"
        return
    own = Path(rasterio.__file__).parent / "proj_data"
    remedy = f"set PROJ_DATA={own}" if own.is_dir() else "set PROJ_DATA to the folder of proj.db that rasterio's PROJ reads"
    if not folder:
        yield f"PROJ_DATA is not set: {remedy}"
        return
    database = Path(folder) / "proj.db"
    if not database.is_file():
        yield f"PROJ_DATA={folder} holds no proj.db: {remedy}"
        return
    if own.is_dir() and own.resolve() != Path(folder).resolve():
        yield f"PROJ_DATA={folder} is not rasterio's own copy: {remedy}"
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            connection.execute("select 1 from metadata where key = 'DATABASE.LAYOUT.VERSION.MAJOR'").fetchone()
        rasterio.crs.CRS.from_epsg(5070)
    except Exception as error:
        yield f"EPSG:5070 cannot be looked up with PROJ_DATA={folder} ({error}): {remedy}"


def python_problems(script):
    """PYTHONPATH leads to the project's code, and what the script imports can be found."""
    path = os.environ.get("PYTHONPATH")
    if not path:
        yield "PYTHONPATH is not set: the image does not know the project's code; set it to the project's folder"
    for folder in filter(None, (path or "").split(os.pathsep)):
        if not Path(folder).exists():
            yield f"PYTHONPATH names {folder}, which is not there (bind it into the container, or mend the path)"
    try:
        tree = ast.parse(Path(script).read_text(), script)
    except (OSError, SyntaxError) as error:
        yield f"the training script cannot be used: {error}"
        return
    sys.path.insert(0, str(Path(script).resolve().parent))
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in imports if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    for name in sorted({name.split(".")[0] for name in names}):
        if importlib.util.find_spec(name) is None:
            yield f"{script} imports {name}, which is not found: add its folder to PYTHONPATH or install it in the image"


def checkpoint_problems(folder):
    probe = Path(folder) / f".preflight-{os.getpid()}"
    try:
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as error:
        yield f"checkpoints cannot be written: {error}"


def gpu_problems(wanted):
    try:
        import torch
    except ImportError as error:
        yield f"PyTorch cannot be imported ({error})"
        return
    found = torch.cuda.device_count()
    if found < wanted:
        yield f"PyTorch sees {found} of {wanted} GPUs: apptainer needs --nv, the job --gpus-per-node={wanted}"


def all_reduce(seconds):
    """Add up the ranks' numbers by the library that training uses. @returns 0, or 2 where the sum is wrong."""
    import datetime
    import time

    import torch
    import torch.distributed as distributed

    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    began = time.monotonic()
    distributed.init_process_group("nccl" if gpu else "gloo", timeout=datetime.timedelta(seconds=seconds))
    ranks = distributed.get_world_size()
    # 1 MiB: more than what NCCL sends in one piece.
    numbers = torch.full((2**18,), float(distributed.get_rank() + 1), device="cuda" if gpu else "cpu")
    distributed.all_reduce(numbers)
    right = bool((numbers == ranks * (ranks + 1) / 2).all())
    if distributed.get_rank() == 0:
        network = os.environ.get("NCCL_SOCKET_IFNAME" if gpu else "GLOO_SOCKET_IFNAME", "the default interface")
        print(f"preflight: {ranks} ranks, {'NCCL' if gpu else 'Gloo'} over {network}: {time.monotonic() - began:.1f} s")
    distributed.destroy_process_group()
    if not right:
        print("preflight: an all-reduce gives a wrong sum", file=sys.stderr)
    return 0 if right else 2


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--checkpoints")
    parser.add_argument("--all-reduce", type=int, metavar="SECONDS")
    parser.add_argument("script", nargs="?")
    options = parser.parse_args()
    if options.all_reduce:
        return all_reduce(options.all_reduce)
    if options.script is None:
        parser.error("a training script is expected")
    problems = [*proj_problems(), *python_problems(options.script)]
    if options.checkpoints:
        problems += checkpoint_problems(options.checkpoints)
    if options.gpus:
        problems += gpu_problems(options.gpus)
    for problem in problems:
        print(f"preflight: {problem}", file=sys.stderr)
    return 2 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
