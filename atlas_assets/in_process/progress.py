"""Progress bars of a terminal, and plain lines where there is none."""

import threading
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn

LINE_SECONDS = 8
"""Without a terminal, the longest time without a line."""


class TerminalProgress(Progress):
    """Progress bars in a terminal. Elsewhere, as in a pipe, a plain line for each finished bar and every few seconds.

    Args:
        console: where it is shown; rich's own by default.
    """

    def __init__(self, console: Console | None = None):
        columns = TextColumn("{task.description:32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        super().__init__(*columns, console=console)
        self.is_plain = not self.console.is_terminal
        self._ended = threading.Event()
        self._last_line = time.monotonic()

    def start(self) -> None:
        """Starts the bars, or the thread that prints a line where nothing was printed for LINE_SECONDS."""
        if not self.is_plain:
            super().start()
        else:
            threading.Thread(target=self._keep_printing, daemon=True).start()

    def stop(self) -> None:
        """Ends the bars, or the thread."""
        self._ended.set()
        if not self.is_plain:
            super().stop()

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Advances a bar; prints its line where it is complete and there is no terminal."""
        super().advance(task_id, advance)
        task = self._tasks[task_id]
        if self.is_plain and task.finished:
            self._print(task)

    def tell(self, level: int, text: str) -> None:
        """Prints a line about what is being made, at every level of the log; in a terminal, above the bars."""
        self._last_line = time.monotonic()
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _keep_printing(self) -> None:
        while not self._ended.wait(1):
            if time.monotonic() - self._last_line >= LINE_SECONDS:
                self._print(next((task for task in reversed(self.tasks) if not task.finished), None))

    def _print(self, task: Task | None) -> None:
        self._last_line = time.monotonic()
        line = f"{task.description}: {task.completed:.0f} of {task.total:.0f}" if task else "at work"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)
