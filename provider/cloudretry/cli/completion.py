"""``cloudretry completion``."""

from __future__ import annotations

import os

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

__all__ = ["completion"]

_BASH = """\
%(complete_func)s() {
    local kind value IFS=$'\\n'
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_LINE=${COMP_LINE:0:COMP_POINT} %(complete_var)s=bash_complete "$1")
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


@add_completion_class
class _Bash(BashComplete):
    """Bash splits words at ``:`` and ``=``, which action names and settings hold: so the line is read as it is."""

    name = "bash"
    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)[1:]
        if line[-1:].isspace() or not words:
            return words, ""
        return words[:-1], words[-1]

    def format_completion(self, item: CompletionItem) -> str:
        # Bash replaces what is behind its last split only.
        _, incomplete = self.get_completion_args()
        head = incomplete[: max(incomplete.rfind(":"), incomplete.rfind("=")) + 1]
        return f"{item.type},{item.value.removeprefix(head)}"


_SCRIPTS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(list(_SCRIPTS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script by which a shell completes commands.

    It completes options, actions, inputs and the ids of open fires as well. In the start-up file of the shell:

    \b
      bash:  eval "$(cloudretry completion bash)"
      zsh:   eval "$(cloudretry completion zsh)"
      fish:  cloudretry completion fish | source
    """
    script = _SCRIPTS[shell](context.find_root().command, {}, "cloudretry", "_CLOUDRETRY_COMPLETE")
    click.echo(script.source())
