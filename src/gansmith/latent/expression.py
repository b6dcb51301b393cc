"""The parser of expressions such as `"12 - 40 + 0.5 * me.npz#3"`: into sums of points, without evaluating any code.

    sum     = product { (+ | -) product }
    product = signed { (* | /) signed }
    signed  = { + | - } (number | file | "quoted file" | ( sum ) | mean( member { , member } ) | mean( label = name ))
    member  = sum | number .. number

In a product one operand is a vector and the others are factors. Where all are numbers, the last whole number that is
no divisor is the image's index, so `0.5 * 12` is half of image 12. A file's name starts with a letter, `.`, `/`, `~`
or `_`, or is quoted.
"""

import math
import re
from dataclasses import dataclass

from gansmith.errors import UserError

MAX_LENGTH = 1000
"""Characters of an expression."""
MAX_DEPTH = 20
"""Brackets within brackets."""
MAX_RANGE = 1000
"""Images of a range such as 3..8, and vectors of the mean of a class."""
MAX_FACTOR = 1e6
"""The largest factor."""
DEFAULT_MEMBERS = 16
"""Vectors in `mean(label=3)` where n is not given."""

_TOKEN = re.compile(
    r"\s*(?:(?P<range>\d{1,15}\.\.\d{1,15})"
    r"|(?P<file>[^\W\d][\w./\\~:-]*\.(?:npz|safetensors)(?:#\d+)?|[./~][\w./\\~:-]*\.(?:npz|safetensors)(?:#\d+)?)"
    r"|(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
    r"|(?P<quoted>\"[^\"]*\"(?:#\d+)?|'[^']*'(?:#\d+)?)"
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<sign>[-+*/(),=]))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Leaf:
    """A point: an image's index, or a file."""

    text: str


@dataclass(frozen=True)
class Group:
    """The mean of several vectors."""

    members: tuple["Node", ...]
    text: str


@dataclass(frozen=True)
class ClassMean:
    """The mean of ``count`` vectors whose images are of a class."""

    label: str
    count: int
    text: str


@dataclass(frozen=True)
class Sum:
    """Vectors, each times a factor, added."""

    terms: tuple[tuple[float, "Node"], ...]
    text: str


Node = Leaf | Group | ClassMean | Sum


def parse(text: str) -> Sum:
    """The terms of an expression. Raises UserError in one line that says what is wrong and where."""
    if len(text) > MAX_LENGTH:
        raise UserError(f"the expression has {len(text):,} characters; at most {MAX_LENGTH:,} are read")
    reader = _Reader(text)
    result = reader.sum(0)
    if reader.kind:
        raise reader.error("the expression should end here")
    return result


class _Reader:
    """A recursive-descent parser; ``token`` is the next token and ``kind`` its kind, "" at the end."""

    def __init__(self, text: str) -> None:
        self.text, self.start, self.end = text, 0, 0
        self.kind, self.token = "", ""
        self.next()

    def next(self) -> str:
        """Reads the next token and returns the one before it."""
        before, self.start = self.token, self.end
        match = _TOKEN.match(self.text, self.end)
        if match is not None and match.lastgroup:
            self.kind, self.token = match.lastgroup, match[match.lastgroup]
            self.start, self.end = match.start(match.lastgroup), match.end()
        elif self.text[self.end :].strip():
            self.start += len(self.text[self.end :]) - len(self.text[self.end :].lstrip())
            self.kind, self.token = "other", self.text[self.start]
            raise self.error("not understood")
        else:
            self.kind, self.token, self.start = "", "", len(self.text)
        return before

    def error(self, what: str) -> UserError:
        """An error at the present token, with an example of an expression."""
        shown = ascii(self.text[self.start : self.start + 20])[1:-1] or "the end"
        example = 'write it as in "12 - 40 + 7", "0.5 * me.npz" or "mean(1,2,3)"'
        return UserError(f"expression, character {self.start + 1} ({shown}): {what}; {example}")

    def take(self, signs: str) -> str:
        """Reads and returns the present token if it is one of these signs; otherwise ""."""
        return self.next() if self.kind == "sign" and self.token in signs else ""

    def need(self, sign: str) -> None:
        """Reads a sign; raises UserError when the present token is another."""
        if not self.take(sign):
            raise self.error(f"{sign} is missing")

    def since(self, start: int) -> str:
        """The text from ``start`` to before the present token, without outer spaces."""
        return self.text[start : self.start].strip()

    def sum(self, depth: int) -> Sum:
        """Reads products that are added and subtracted."""
        if depth > MAX_DEPTH:
            raise self.error(f"nested more than {MAX_DEPTH} deep")
        start, terms = self.start, [self.product(depth)]
        while sign := self.take("+-"):
            factor, node = self.product(depth)
            terms.append((-factor if sign == "-" else factor, node))
        return Sum(tuple(terms), self.since(start))

    def product(self, depth: int) -> tuple[float, Node]:
        """Reads a product: its factor and its vector."""
        factor, operands, sign = 1.0, list[Node | str](), "*"
        while sign:
            while minus := self.take("+-"):
                factor = -factor if minus == "-" else factor
            operand = self.operand(depth)
            if sign == "/":
                if not isinstance(operand, str) or float(operand) == 0:
                    raise self.error("only a number other than 0 can be divided by")
                factor /= float(operand)
            else:
                operands.append(operand)
            sign = self.take("*/")
        nodes = [each for each in operands if not isinstance(each, str)]
        numbers = [each for each in operands if isinstance(each, str)]
        if not nodes:
            whole = next((index for index in reversed(range(len(numbers))) if numbers[index].isdecimal()), None)
            if whole is None:
                raise self.error(f"{numbers[-1]} is a factor and needs an image's number beside it")
            nodes = [Leaf(numbers.pop(whole))]
        if len(nodes) > 1:
            raise self.error("two vectors cannot be multiplied")
        factor *= math.prod(float(number) for number in numbers)
        if not abs(factor) <= MAX_FACTOR:
            raise self.error(f"a factor must be between -{MAX_FACTOR:,.0f} and {MAX_FACTOR:,.0f}")
        return factor, nodes[0]

    def operand(self, depth: int) -> Node | str:
        """Reads a number, returned as text, or a vector."""
        start = self.start
        if self.kind == "number":
            return self.next()
        if self.kind == "file":
            return Leaf(self.next())
        if self.kind == "quoted":
            return Leaf(re.sub(r"[\"']", "", self.next()))
        if self.take("("):
            inner = self.sum(depth + 1)
            self.need(")")
            return inner
        if self.kind == "word" and self.token.lower() == "mean":
            self.next()
            self.need("(")
            return self.mean(start, depth)
        raise self.error("an image's number, a file, a bracket or mean(...) is missing")

    def mean(self, start: int, depth: int) -> Group | ClassMean:
        """Reads the content of mean( ) and its closing bracket."""
        if self.kind == "word" and self.token.lower() == "label":
            self.next()
            self.need("=")
            if self.kind not in {"number", "quoted", "word"}:
                raise self.error("a class is missing")
            label, count = self.next().strip("\"'"), DEFAULT_MEMBERS
            if self.take(","):
                if self.kind != "word" or self.next().lower() != "n":
                    raise self.error("only n = NUMBER may follow a label")
                self.need("=")
                if not self.token.isdecimal() or not 1 <= int(self.token) <= MAX_RANGE:
                    raise self.error(f"give a number from 1 to {MAX_RANGE}")
                count = int(self.next())
            self.need(")")
            return ClassMean(label, count, self.since(start))
        members = list[Node]()
        while True:
            members += self.span() if self.kind == "range" else [self.member(depth)]
            if not self.take(","):
                break
        self.need(")")
        return Group(tuple(members), self.since(start))

    def member(self, depth: int) -> Node:
        """Reads a member of a mean; a single point stays a point, so that a file may hold several vectors."""
        found = self.sum(depth + 1)
        factor, node = found.terms[0]
        return node if len(found.terms) == 1 and factor == 1 else found

    def span(self) -> list[Node]:
        """Reads a range such as `3..8`: the points 3 to 8."""
        first, last = map(int, self.token.split(".."))
        if not first <= last < first + MAX_RANGE:
            raise self.error(f"a range goes upwards, over at most {MAX_RANGE} images")
        self.next()
        return [Leaf(str(number)) for number in range(first, last + 1)]
