# Every target is a command of tasks.py, which Windows users call themselves.
# Options go through ARGS:  make test ARGS="-k losses"
PYTHON ?= python3
COMMANDS = lab test notebooks book slides figures bench mutants gpu soak lint clean

help:
	@$(PYTHON) tasks.py

$(COMMANDS):
	@$(PYTHON) tasks.py $@ $(ARGS)

.PHONY: help $(COMMANDS)
