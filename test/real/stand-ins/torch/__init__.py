"""A stand-in for torch: what pegaflow-server and its client's CudaIPCWrapper call, and nothing else.

Device memory is that of the emulated driver (native-bindings/emulated-device): its 64-byte handle names a segment of POSIX
shared memory. PEGAFLOW_STAND_IN_DEVICES is how many devices there are (default 8); PEGAFLOW_STAND_IN_CONTROL names the file
by which a test makes memory open or close slowly, not at all or with an error (see control.py).
"""

import ctypes
import os
import struct
import sys
import threading
import types

from . import control as _control

__version__ = "2.99.0+standin"

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

_PROT_READ_WRITE, _MAP_SHARED = 3, 1
_MAP_FAILED = ctypes.c_void_p(-1).value

_ITEM_SIZES = {
    "bool": 1, "uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "uint32": 4, "int32": 4, "uint64": 8, "int64": 8,
    "float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "complex64": 8, "complex128": 16,
}  # fmt: skip


class dtype:
    def __init__(self, name):
        self.name, self.itemsize = name, _ITEM_SIZES[name]

    def __repr__(self):
        return "torch." + self.name

    def __reduce__(self):
        return self.name


for _name in _ITEM_SIZES:
    globals()[_name] = dtype(_name)


class Size(tuple):
    def __reduce__(self):
        return (Size, (tuple(self),))


class device:
    def __init__(self, spec, index=None):
        if isinstance(spec, int):
            self.type, self.index = "cuda", spec
        elif isinstance(spec, str):
            kind, _, number = spec.partition(":")
            self.type, self.index = kind, int(number) if number else index
        else:
            self.type, self.index = spec.type, spec.index

    def __repr__(self):
        return "%s:%s" % (self.type, self.index)


def _stamp_of(process):
    """The creator stamp of native-bindings/creator-stamp.ts, or None for a process that has ended."""
    try:
        with open("/proc/%s/stat" % process, "rb") as file:
            stat = file.read()
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except (FileNotFoundError, ProcessLookupError):
        return None
    from_state = stat.rpartition(b")")[2].split()
    if from_state[0] in (b"Z", b"X"):
        return None
    pid, start_ticks = int(stat.split()[0]), int(from_state[19])
    return pid & (1 << 22) - 1 | (namespace & (1 << 22) - 1) << 22 | (start_ticks & (1 << 20) - 1) << 44


def _has_ended(stamp):
    """Whether the creator is gone; of one in another PID namespace nothing is known."""
    if (stamp ^ _stamp_of("self")) >> 22 & (1 << 22) - 1:
        return False
    return _stamp_of(stamp & (1 << 22) - 1) != stamp


def _segment_path(stamp, random):
    return "/dev/shm/pegaflow_dev_%d_%016x_%s" % (stamp & (1 << 22) - 1, stamp, random.hex())


def _map(fd, size):
    address = _libc.mmap(None, size, _PROT_READ_WRITE, _MAP_SHARED, fd, 0)
    if address in (None, _MAP_FAILED):
        raise RuntimeError("CUDA error: out of memory")
    return address


class UntypedStorage:
    """Memory of a device: allocated here, which is then exported and unlinked at the end, or opened by its handle."""

    def __init__(self, address, size, index=0, mapping=None, handle=None, path=None):
        self._address, self._size, self._index = address, size, index
        self._mapping, self._handle, self._path = mapping, handle, path

    @staticmethod
    def _allocate(index, size):
        stamp, random = _stamp_of("self"), os.urandom(16)
        path = _segment_path(stamp, random)
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            os.ftruncate(fd, size)
            address = _map(fd, size)
        finally:
            os.close(fd)
        handle = struct.pack("<8sI4xQQ", b"PGFEMUv1", index, size, stamp) + random + bytes(16)
        return UntypedStorage(address, size, index, (address, size), handle, path)

    def _share_cuda_(self):
        if self._handle is None:
            raise RuntimeError("CUDA error: not this process's memory")
        return (self._index, self._handle, self._size, 0, b"/torch_standin_0", 0, bytes(64), True)

    @staticmethod
    def _new_shared_cuda(index, handle, size, offset, counter_file, counter_slot, event, must_sync):
        _control.obey("open")
        handle = bytes(handle)
        if len(handle) == 66 and handle[1:2] == b"c":
            handle = handle[2:]
        if len(handle) != 64:
            raise RuntimeError("unexpected shareable handle type")
        magic, total, stamp = struct.unpack_from("<8s8xQQ", handle)
        if magic != b"PGFEMUv1":
            raise RuntimeError("CUDA error: invalid resource handle")
        path = _segment_path(stamp, handle[32:48])
        if _has_ended(stamp) or not os.path.exists(path):
            raise RuntimeError("CUDA error: invalid device context (the exporter's memory is gone)")
        if offset + size > total:
            raise RuntimeError("storage exceeds its allocation")
        fd = os.open(path, os.O_RDWR)
        try:
            length = os.fstat(fd).st_size
            address = _map(fd, length)
        finally:
            os.close(fd)
        return UntypedStorage(address + offset, size, index, (address, length))

    def nbytes(self):
        return self._size

    def data_ptr(self):
        return self._address

    def __del__(self):
        mapping, self._mapping = self._mapping, None
        if mapping is None:
            return
        if self._path is not None:
            os.unlink(self._path)
            _libc.munmap(*mapping)
            return
        keep_s = _control.obey("close")
        if keep_s == 0:
            _libc.munmap(*mapping)
            return
        timer = threading.Timer(keep_s, _libc.munmap, mapping)
        timer.daemon = True
        timer.start()


class Tensor:
    def __init__(self, storage, where, kind=None):
        self._storage, self.device, self.dtype = storage, device(where), kind
        self.shape, self._stride, self._offset = Size(), (), 0

    def set_(self, storage, offset=0, shape=None, stride=None):
        self._storage, self._offset = storage, offset
        if shape is not None:
            self.shape, self._stride = Size(shape), tuple(stride)
        return self

    def view(self, *shape):
        self.shape = Size(shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)
        return self

    def data_ptr(self):
        return self._storage.data_ptr() + self._offset * self.element_size()

    def element_size(self):
        return self.dtype.itemsize if self.dtype is not None else 1

    def numel(self):
        total = 1
        for extent in self.shape:
            total *= extent
        return total

    def is_contiguous(self):
        return self._stride == _strides(self.shape)

    @property
    def nbytes(self):
        return self.numel() * self.element_size()

    def untyped_storage(self):
        return self._storage

    def storage_offset(self):
        return self._offset

    def stride(self):
        return self._stride


def _strides(shape):
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


def tensor(data, device=None, dtype=None):
    return Tensor(UntypedStorage(0, 0), device if device is not None else 0, dtype)


def empty(shape, device="cuda:0", dtype=None):
    return Tensor(UntypedStorage(0, 0), device, dtype)


def zeros(*shape, dtype=None, device="cuda:0"):
    """Device memory that other processes can open by its handle."""
    shape = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
    kind, count = dtype or globals()["float16"], 1
    for extent in shape:
        count *= extent
    where = globals()["device"](device)
    storage = UntypedStorage._allocate(where.index or 0, count * kind.itemsize)
    return Tensor(storage, where, kind).set_(storage, 0, shape, _strides(shape))


def _device_count():
    return int(os.environ.get("PEGAFLOW_STAND_IN_DEVICES", "8"))


class _DeviceProperties:
    def __init__(self, index):
        self.name, self.total_memory, self.major, self.minor = "Stand-in", 8 << 30, 9, 0
        self.uuid = "00000000-0000-4000-8000-%012x" % index


def _set_device(where):
    cuda._current = where if isinstance(where, int) else where.index


cuda = types.ModuleType("torch.cuda")
cuda._current = 0
cuda.init = lambda: None
cuda.is_available = lambda: True
cuda.is_initialized = lambda: True
cuda.device_count = _device_count
cuda.get_device_properties = _DeviceProperties
cuda.set_device = _set_device
cuda.current_device = lambda: cuda._current
cuda.synchronize = lambda *_, **__: None
cuda.empty_cache = lambda: None
sys.modules["torch.cuda"] = cuda

version = types.ModuleType("torch.version")
version.cuda = "12.8"
sys.modules["torch.version"] = version
