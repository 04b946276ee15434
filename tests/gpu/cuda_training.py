"""A training whose weights lie on the GPU that it was given, through CUDA's driver alone; the arithmetic is NumPy's, so that any machine
with a driver can run it and its result is the same to the bit. Its GPU is kept busy, and its memory full, as trainings do it."""

import hashlib
import sys
import time
import uuid
from ctypes import CDLL, byref, c_int, c_size_t, c_ubyte, c_uint64, c_void_p

import numpy as np
from mlgate_checkpoint import Checkpoint

HELD_BYTES = 1 << 30
pause_s, epochs, journal = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None
cuda = CDLL("libcuda.so.1")


def call(name, *arguments):
    code = getattr(cuda, name)(*arguments)
    if code:
        sys.exit(f"{name} ended with {code}")


call("cuInit", 0)
count, device, own, context = c_int(), c_int(), (c_ubyte * 16)(), c_void_p()
call("cuDeviceGetCount", byref(count))
uuids = []
for index in range(count.value):
    call("cuDeviceGet", byref(device), index)
    call("cuDeviceGetUuid_v2", own, device)
    uuids.append(str(uuid.UUID(bytes=bytes(own))))
call("cuDeviceGet", byref(device), 0)
call("cuDevicePrimaryCtxRetain", byref(context), device)
call("cuCtxSetCurrent", context)
held, on_gpu = c_uint64(), c_uint64()
call("cuMemAlloc_v2", byref(held), c_size_t(HELD_BYTES))

rng = np.random.default_rng(7)
weights = np.zeros(8)
call("cuMemAlloc_v2", byref(on_gpu), c_size_t(weights.nbytes))
checkpoint = Checkpoint(weights=weights, rng=rng)
print("gpus", *uuids)
print("ready", flush=True)
if journal:
    with open(journal, "a") as told:
        print("began", time.time(), *uuids, file=told)
for _ in checkpoint.epochs(epochs):
    for _ in checkpoint.batches(range(10)):
        call("cuMemcpyHtoD_v2", on_gpu, c_void_p(weights.ctypes.data), c_size_t(weights.nbytes))
        call("cuMemsetD8_v2", held, c_ubyte(1), c_size_t(HELD_BYTES))
        call("cuCtxSynchronize")
        call("cuMemcpyDtoH_v2", c_void_p(weights.ctypes.data), on_gpu, c_size_t(weights.nbytes))
        weights += rng.normal(size=8) - 0.1 * weights
        time.sleep(pause_s)
    checkpoint.report(loss=float(abs(weights).sum()))
np.save("weights.npy", weights)
if journal:
    with open(journal, "a") as told:
        print("ended", time.time(), *uuids, file=told)
print("weights", hashlib.sha256(weights.tobytes()).hexdigest())
