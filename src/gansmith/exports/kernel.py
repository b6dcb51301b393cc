"""The page's matrix product as a WebAssembly module with SIMD, assembled here by hand: a few hundred bytes.

C = A·B + bias in float32. A (M, K) is row by row; B (K, N) lies in panels of 8 columns, each (K, 8); C is (M, N). M is
a multiple of 4, N of 8. The inner loop keeps 4 rows by 8 columns of C in registers. engine.js has the same product in
plain JavaScript, for browsers without SIMD.
"""

from collections.abc import Iterable
from itertools import count

I32, V128, VOID = 0x7F, 0x7B, 0x40
A, B, C, BIAS, ROWS, INNER, COLUMNS = range(7)
"""The parameters of ``gemm``: four addresses in bytes, and M, K, N."""
_locals = count(7)
N, M, END, TO, PANEL, ROW0, ROW1, ROW2, ROW3 = (next(_locals) for _ in range(9))
SUMS = tuple(next(_locals) for _ in range(8))
LEFT, RIGHT, VALUE = (next(_locals) for _ in range(3))

Code = list[int]


def module() -> bytes:
    """The module: imports ``env.memory``, exports ``gemm(a, b, c, bias, rows, inner, columns)``."""
    types = _vector([[0x60, *_vector([[I32]] * 7), 0]])
    memory = [*_text("env"), *_text("memory"), 0x02, 0x00, *_unsigned(1)]
    declared = [*_unsigned(2), *_unsigned(9), I32, *_unsigned(11), V128]
    body = [*declared, *_gemm(), 0x0B]
    sections = {
        1: types,
        2: _vector([memory]),
        3: _vector([[0]]),
        7: _vector([[*_text("gemm"), 0x00, 0]]),
        10: _vector([[*_unsigned(len(body)), *body]]),
    }
    code = [byte for number, content in sections.items() for byte in (number, *_unsigned(len(content)), *content)]
    return b"\0asm\1\0\0\0" + bytes(code)


def _gemm() -> Code:
    rows = (ROW0, ROW1, ROW2, ROW3)
    stride = [*_get(INNER), *_const(4), *MULTIPLY]  # bytes of a row of A
    inner = [
        *(*_get(PANEL), *_load(0), *_set(LEFT), *_get(PANEL), *_load(16), *_set(RIGHT)),
        *(byte for row, at in enumerate(rows) for byte in _row(row, at)),
        *(byte for at in rows for byte in _advance(at, 4)),
        *_advance(PANEL, 32),
        *(*_get(ROW0), *_get(END), *LESS),
    ]
    tile = [
        *(*_get(A), *_get(M), *stride, *MULTIPLY, *ADD, *_set(ROW0), *_get(ROW0), *stride, *ADD, *_set(END)),
        *(*_get(END), *_set(ROW1), *_get(ROW1), *stride, *ADD, *_set(ROW2), *_get(ROW2), *stride, *ADD, *_set(ROW3)),
        *(*_get(B), *_get(N), *stride, *MULTIPLY, *ADD, *_set(PANEL)),
        *(byte for each in SUMS[::2] for byte in (*_bias(0), *_set(each))),
        *(byte for each in SUMS[1::2] for byte in (*_bias(16), *_set(each))),
        *_loop(inner),
        *(*_get(C), *_get(M), *_get(COLUMNS), *MULTIPLY, *_get(N), *ADD, *_const(4), *MULTIPLY, *ADD, *_set(TO)),
        *(byte for row in range(4) for byte in _stored(row)),
        *(*_advance(M, 4), *_get(M), *_get(ROWS), *LESS),
    ]
    panel = [*_const(0), *_set(M), *_loop(tile), *_advance(N, 8), *_get(N), *_get(COLUMNS), *LESS]
    return [*_const(0), *_set(N), *_loop(panel)]


def _row(row: int, at: int) -> Code:
    """sums of a row += A's number, four times over, times B's eight."""
    first, second = SUMS[2 * row : 2 * row + 2]
    return [
        *(*_get(at), *SPLAT, *_set(VALUE)),
        *(*_get(first), *_get(VALUE), *_get(LEFT), *PRODUCT, *SUM, *_set(first)),
        *(*_get(second), *_get(VALUE), *_get(RIGHT), *PRODUCT, *SUM, *_set(second)),
    ]


def _stored(row: int) -> Code:
    """The sums of a row go to C, and the place moves on by a row."""
    first, second = SUMS[2 * row : 2 * row + 2]
    return [
        *(*_get(TO), *_get(first), *_store(0), *_get(TO), *_get(second), *_store(16)),
        *(*_get(TO), *_get(COLUMNS), *_const(4), *MULTIPLY, *ADD, *_set(TO)),
    ]


def _bias(offset: int) -> Code:
    """Four numbers of the bias."""
    return [*_get(BIAS), *_get(N), *_const(4), *MULTIPLY, *ADD, *_load(offset)]


ADD, MULTIPLY, LESS = [0x6A], [0x6C], [0x49]  # i32.add, i32.mul, i32.lt_u
SPLAT = [0xFD, 0x09, 2, 0]  # v128.load32_splat
SUM, PRODUCT = [0xFD, 0xE4, 0x01], [0xFD, 0xE6, 0x01]  # f32x4.add, f32x4.mul


def _get(local: int) -> Code:
    return [0x20, *_unsigned(local)]


def _set(local: int) -> Code:
    return [0x21, *_unsigned(local)]


def _const(value: int) -> Code:
    assert 0 <= value < 64
    return [0x41, value]


def _advance(local: int, by: int) -> Code:
    return [*_get(local), *_const(by), *ADD, *_set(local)]


def _load(offset: int) -> Code:
    return [0xFD, 0x00, 2, *_unsigned(offset)]


def _store(offset: int) -> Code:
    return [0xFD, 0x0B, 2, *_unsigned(offset)]


def _loop(body: Code) -> Code:
    """The body, again while it leaves a number other than 0."""
    return [0x03, VOID, *body, 0x0D, 0, 0x0B]


def _unsigned(value: int) -> Code:
    """LEB128."""
    code = []
    while value > 0x7F:
        code.append(value & 0x7F | 0x80)
        value >>= 7
    return [*code, value]


def _text(name: str) -> Code:
    return [*_unsigned(len(name)), *name.encode()]


def _vector(items: Iterable[Code]) -> Code:
    parts = list(items)
    return [*_unsigned(len(parts)), *(byte for part in parts for byte in part)]
