# What every attempt begins with: `attempt` tells whether it got out.
import ctypes, errno, os, signal, socket, struct, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    pass


def call(number, *arguments):
    libc.syscall.restype = ctypes.c_long
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result == -1:
        raise Refused(os.strerror(ctypes.get_errno()))
    return result


def attempt(act):
    try:
        print("ESCAPED", act(), flush=True)
    except (Refused, OSError, MemoryError, RuntimeError, ValueError) as error:
        print("contained:", type(error).__name__, error, flush=True)


def connect(family, kind, address, data=b"x"):
    with socket.socket(family, kind) as wire:
        wire.settimeout(1)
        wire.connect(address)
        wire.send(data)


def read(path):
    with open(path, "rb") as file:
        return file.read(100)


def write(path, text="x"):
    with open(path, "w") as file:
        file.write(text)
    return path
