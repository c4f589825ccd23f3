"""The small faults that ``scripts/mutants.py`` puts into a module, one at a time."""

from __future__ import annotations

import ast
import copy
import difflib
from dataclasses import dataclass

_BOUNDARY = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_OPPOSITE = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """
    One fault in one module.

    :param module: its path in the project, with slashes.
    :param function: the qualified name of what it is in; empty at the top of the module.
    :param line: where the changed part begins, from 1.
    :param lines: of the whole statement, by which tests that execute it are found.
    :param change: ``old -> new``, each on one line.
    :param span: the bytes that are replaced.
    :param new: what by.
    """

    module: str
    function: str
    line: int
    lines: tuple[int, int]
    change: str
    span: tuple[int, int]
    new: str

    @property
    def own_tests(self) -> str:
        """The file of tests that has the module's name."""
        return f"/test_{self.module.rsplit('/', 1)[-1]}"

    def apply(self, source: str) -> str:
        """Return the module with the fault in it."""
        raw = source.encode()
        return (raw[: self.span[0]] + self.new.encode() + raw[self.span[1] :]).decode()

    def diff(self, source: str) -> str:
        """Return what changed, as a diff without headers."""
        lines = difflib.unified_diff(source.splitlines(), self.apply(source).splitlines(), lineterm="", n=0)
        return "\n".join(f"    {line}" for line in list(lines)[3:])

    def key(self, source: str) -> tuple[str, str, str, str]:
        """Return what names the mutant however lines move: module, function, source line and change."""
        line = " ".join(source.splitlines()[self.line - 1].split())
        return self.module, self.function, line, self.change


def mutants_of(module: str, source: str) -> list[Mutant]:
    """
    Return every mutant of a module, in the order of its lines.

    :param module: its path in the project, with slashes.
    :param source: its text.
    """
    finder = _Finder(module, source)
    finder.visit(ast.parse(source))
    return sorted(finder.found, key=lambda mutant: (mutant.span, mutant.change))


class _Finder(ast.NodeVisitor):
    """
    Walks over a module.

    Left out is what no test of behaviour can notice: annotations, decorators, docstrings, protocols, ``__all__``,
    f-strings (whose parts Python 3.11 does not locate), and strings that are sentences.
    """

    def __init__(self, module: str, source: str) -> None:
        self.module = module
        self.found: list[Mutant] = []
        starts = [0]
        for line in source.encode().splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        self._starts = starts
        self._scope: list[str] = []
        self._lines = (1, 1)

    def visit(self, node: ast.AST) -> None:
        """Note the statement that a node is part of, and go on."""
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            self._lines = (node.lineno, max(node.lineno, end))
        super().visit(node)

    def generic_visit(self, node: ast.AST) -> None:
        """Go on with what may be changed of a node."""
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_params"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    lines = self._lines
                    self.visit(child)
                    self._lines = lines

    def _add(self, node: ast.expr | ast.stmt, new: ast.AST | str, change: str | None = None) -> None:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        text = new if isinstance(new, str) else ast.unparse(new)
        is_operation = isinstance(new, ast.BoolOp | ast.BinOp | ast.Compare | ast.UnaryOp)
        change = change or f"{ast.unparse(node)} -> {text}"
        self.found.append(
            Mutant(
                module=self.module,
                function=".".join(self._scope),
                line=node.lineno,
                lines=self._lines,
                change=" ".join(change.split()),
                span=(
                    self._starts[node.lineno - 1] + node.col_offset,
                    self._starts[node.end_lineno - 1] + node.end_col_offset,
                ),
                new=f"({text})" if is_operation else text,
            )
        )

    # Scopes, and what is left alone

    def _scoped(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self._scope.append(node.name)
        self.generic_visit(node)
        self._scope.pop()

    visit_FunctionDef = visit_AsyncFunctionDef = _scoped

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Leave protocols alone: they do nothing."""
        if not any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
            self._scoped(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leave f-strings alone."""

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Leave types alone."""
        if not (isinstance(node.value, ast.Name) and node.value.id == "Literal"):
            self.generic_visit(node)

    # Statements

    def visit_Expr(self, node: ast.Expr) -> None:
        """Remove a call; a docstring stays."""
        if isinstance(node.value, ast.Call):
            self._add(node, "pass")
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Remove it."""
        self._add(node, "pass", change=f"raise {ast.unparse(node.exc)[:60] if node.exc else ''} -> pass")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """Remove it."""
        self._add(node, "pass")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        """Remove what sets an attribute or an item; what a module exports is left alone."""
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            return
        if all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets):
            self._add(node, "pass")
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        """Return nothing; a flag is changed as a constant, and None is as good as False."""
        value = node.value
        if value is not None and not (
            isinstance(value, ast.Constant) and isinstance(value.value, bool | None)
        ):
            self._add(node, "return None")
        self.generic_visit(node)

    def visit_Continue(self, node: ast.Continue) -> None:
        """End the loop instead."""
        self._add(node, "break")

    def visit_Break(self, node: ast.Break) -> None:
        """Go on with the loop instead."""
        self._add(node, "continue")

    def visit_If(self, node: ast.If) -> None:
        """Turn a plain condition round; what is for type checkers is left alone."""
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self._turn_round(node.test)
            self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        """Turn a plain condition round."""
        self._turn_round(node.test)
        self.generic_visit(node)

    def _turn_round(self, test: ast.expr) -> None:
        if isinstance(test, ast.Name | ast.Attribute | ast.Call):
            self._add(test, ast.UnaryOp(ast.Not(), test))

    # Expressions

    def visit_Compare(self, node: ast.Compare) -> None:
        """Move a boundary by one, or compare the other way round."""
        for at, operator in enumerate(node.ops):
            for table in (_BOUNDARY, _OPPOSITE):
                if type(operator) in table:
                    new = copy.copy(node)
                    new.ops = [*node.ops[:at], table[type(operator)](), *node.ops[at + 1 :]]
                    self._add(node, new)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """Swap ``and`` and ``or``."""
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        self._add(node, ast.BoolOp(other, node.values))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """Leave a ``not`` out."""
        if isinstance(node.op, ast.Not):
            self._add(node, node.operand)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """Swap an operator."""
        is_text = any(
            isinstance(side, ast.JoinedStr | ast.Constant) and not isinstance(getattr(side, "value", ""), int)
            for side in (node.left, node.right)
        )
        if type(node.op) in _ARITHMETIC and not is_text:
            self._add(node, ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Change a number, a flag, or a string that is no sentence."""
        value = node.value
        if isinstance(value, bool):
            self._add(node, ast.Constant(not value))
        elif isinstance(value, int | float):
            self._add(node, ast.Constant(value + 1))
        elif isinstance(value, str) and value and not any(letter.isspace() for letter in value):
            self._add(node, ast.Constant(f"XX{value}"))

    def visit_Call(self, node: ast.Call) -> None:
        """Leave a keyword argument out."""
        for keyword in node.keywords:
            if keyword.arg is not None:
                new = ast.Call(
                    node.func, node.args, [other for other in node.keywords if other is not keyword]
                )
                called = ast.unparse(node.func)
                self._add(node, new, change=f"{called}({keyword.arg}=) -> {called}()")
        self.generic_visit(node)
