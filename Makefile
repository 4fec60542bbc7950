# rankpool: plain make, no configure step.
#
#   make            the libraries, the command and the examples
#   make demo       real work under mpirun (DIR=/usr/include); installs what is missing first
#   make check      the tests; installs what is missing first (EVERY=1: those left to .ci/run too)
#   make soak       random schedules of both engines with workers that die or fall silent
#                   (SECONDS=60, SEED=1)
#   make bench      speed figures beside their limits and peers (not a test); PARTS="small idle":
#                   only these of tests/bench/run
#   make bench-count    instructions a task by callgrind, beside tests/bench/count.baseline
#   make fuzz       what reads bytes of others, fed with bad ones (SECONDS=60 each)
#   make lint       every static check; make format rewrites the sources
#
# Settings: CC CFLAGS CPPFLAGS LDFLAGS BUILD MPICC MPI_CFLAGS MPI_LIBS, V=1 (show commands),
# WERROR=1, SANITIZE=address,undefined (or thread).

BUILD ?= build
CFLAGS ?= -O2 -g
MPICC ?= mpicc
DIR ?= /usr/include
SOVERSION := 0

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

# ---- flags ---------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align -Wformat=2 -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wfloat-equal -Wnested-externs -Wvla -Wundef -Wswitch-enum \
	-Wwrite-strings
ifneq ($(findstring clang,$(shell $(CC) --version 2>/dev/null)),)
WARNINGS += -Wshorten-64-to-32
else
WARNINGS += -Wlogical-op
endif

override CPPFLAGS += -D_GNU_SOURCE -Iinclude
override CFLAGS += -std=c11 -fPIC -fvisibility=hidden -pthread $(WARNINGS) $(if $(WERROR),-Werror)
override LDFLAGS += -pthread -Wl,--as-needed
SO_LDFLAGS := -shared -Wl,-soname,librankpool.so.$(SOVERSION) -Wl,--version-script=src/lib/librankpool.map
ifeq ($(SANITIZE),)
SO_LDFLAGS += -Wl,-z,defs
else
override CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
override LDFLAGS += -fsanitize=$(SANITIZE)
endif

# Asked for once, and only when a recipe needs them: a machine without MPI can still parse this
# file.
# MPI's own headers are system headers, so that our warnings are about our code.
ifeq ($(origin MPI_CFLAGS),undefined)
MPI_CFLAGS = $(eval MPI_CFLAGS := $$(patsubst -I%,-isystem %,$$(shell $(MPICC) --showme:compile)))$(MPI_CFLAGS)
endif
ifeq ($(origin MPI_LIBS),undefined)
MPI_LIBS = $(eval MPI_LIBS := $$(shell $(MPICC) --showme:link))$(MPI_LIBS)
endif

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-5s %s\n'
endif

# ---- what there is -------------------------------------------------------------------------------

# The rule between the folders is in scripts/layers.txt. transport/mpi and open know MPI;
# open/handshake.c and open/register.c do not.
LIB_SRC := $(sort $(wildcard src/lib/*/*.c src/lib/*/*/*.c))
LIB_MPI_SRC := $(filter-out src/lib/open/handshake%.c src/lib/open/register.c,\
	$(filter src/lib/transport/mpi/%.c src/lib/open/%.c,$(LIB_SRC)))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
LIB_MPI_OBJ := $(LIB_MPI_SRC:%.c=$(BUILD)/%.o)
LIB_PURE_OBJ := $(filter-out $(LIB_MPI_OBJ),$(LIB_OBJ))

CLI_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard src/cli/*.c)))
EXAMPLES := $(patsubst src/examples/%.c,$(BUILD)/examples/%,$(sort $(wildcard src/examples/*.c)))
# calls.c and fixture.c share names: a program has one of them.
CALLS_OBJ := $(BUILD)/tests/support/calls.o
CALLERS := $(patsubst %.c,$(BUILD)/%,$(shell grep -l '"calls.h"' tests/unit/*/*.c tests/mpi/*.c))
SUPPORT_OBJ := $(filter-out $(CALLS_OBJ),$(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/support/*.c))))
SIM_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(sort $(filter-out tests/sim/test_%,$(wildcard tests/sim/*.c))))
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/unit/*/test_*.c tests/self/test_*.c)))
SIM_TESTS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/sim/test_*.c)))
MPI_TESTS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/mpi/*.c)))
FUZZERS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
BENCHES := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/bench/*.c)))
BENCH_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/bench/common/*.c)))

STATIC := $(BUILD)/librankpool.a
SHARED := $(BUILD)/librankpool.so
PURE := $(BUILD)/librankpool_pure.a
SUPPORT := $(BUILD)/libsupport.a
COMMAND := $(BUILD)/rankpool

# What the library needs beside MPI: SQLite and SHA-256 for the journal.
LIB_LIBS := -lsqlite3 -lcrypto
# What each example needs beside the library.
LDLIBS_filehash := -lcrypto
LDLIBS_uts := -lcrypto -lm
LDLIBS_mandelbrot := -lpng -lm

.PHONY: soak all libs command examples tests demo demo-run check check-run bench bench-run bench-count lint lint-flags format clean FORCE
.SECONDARY:

all: libs command examples
libs: $(STATIC) $(SHARED)
command: $(COMMAND)
examples: $(EXAMPLES)
tests: $(UNIT_TESTS) $(SIM_TESTS) $(MPI_TESTS) $(FUZZERS)

# ---- the library ---------------------------------------------------------------------------------

$(STATIC): $(LIB_OBJ)
$(PURE): $(LIB_PURE_OBJ)
$(SUPPORT): $(SUPPORT_OBJ) Makefile
$(STATIC) $(PURE) $(SUPPORT):
	$(say) AR $@
	$(Q)mkdir -p $(@D) && rm -f $@ && $(AR) qcs $@ $(filter %.o,$^)

$(SHARED).$(SOVERSION): $(LIB_OBJ) src/lib/librankpool.map
	$(say) LD $@
	$(Q)$(CC) $(LDFLAGS) $(SO_LDFLAGS) -o $@ $(LIB_OBJ) $(MPI_LIBS) $(LIB_LIBS)

$(SHARED): $(SHARED).$(SOVERSION)
	$(Q)ln -sf $(<F) $@

# ---- objects -------------------------------------------------------------------------------------

# Internal headers are for the library and its tests; the examples see what a user sees.
INTERNAL := -Isrc/lib
$(LIB_OBJ): ADD = $(INTERNAL)
$(LIB_MPI_OBJ): ADD = $(INTERNAL) $(MPI_CFLAGS)

# These call functions of the application.  Without unwind tables no C++ exception passes them: it
# ends where it is thrown, by std::terminate, which prints what(), and not in the application's main
# with the library half way through a call.  A call in tail position would have no frame of its own.
CALLERS_OF_USERS := base/alloc exec/child_main exec/inline base/log pool/callbacks exec/serve api/stream
$(CALLERS_OF_USERS:%=$(BUILD)/src/lib/%.o): ADD += -fno-asynchronous-unwind-tables -fno-unwind-tables
$(BUILD)/src/lib/base/alloc.o: ADD += -fno-optimize-sibling-calls
$(BUILD)/tests/%.o: ADD = $(INTERNAL) -Itests/support
$(BUILD)/tests/sim/%.o: ADD = $(INTERNAL) -Itests/support -Itests/sim
$(BUILD)/tests/mpi/%.o: ADD = $(INTERNAL) -Itests/support $(MPI_CFLAGS)
$(BUILD)/tests/bench/%.o: ADD = $(INTERNAL) -Itests/support -Itests/sim -Itests/bench/common $(MPI_CFLAGS)
$(BUILD)/src/examples/%.o: ADD = $(MPI_CFLAGS)

$(BUILD)/%.o: %.c $(BUILD)/flags
	$(say) CC $<
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) $(ADD) -MMD -MP -c -o $@ $<

# Objects are rebuilt when the compiler or the flags change.
FLAGS = $(subst ','\'',$(CC) $(CPPFLAGS) $(CFLAGS))
$(BUILD)/flags: FORCE
	@mkdir -p $(@D); echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' >$@

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# ---- programs ------------------------------------------------------------------------------------

$(CALLERS): $(CALLS_OBJ)

# No MPI in these: tests/support has a stand-in for the MPI transport.
$(UNIT_TESTS): %: %.o $(SUPPORT) $(PURE)
	$(say) LD $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(SUPPORT) $(PURE) -Wl,--end-group $(LIB_LIBS) -lcunit -lm

$(SIM_TESTS): %: %.o $(SIM_OBJ) $(SUPPORT) $(PURE)
	$(say) LD $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(SIM_OBJ) -Wl,--start-group $(SUPPORT) $(PURE) -Wl,--end-group $(LIB_LIBS) -lcunit -lm

$(MPI_TESTS): %: %.o $(SUPPORT) $(STATIC)
	$(say) LD $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(SUPPORT) $(STATIC) $(MPI_LIBS) $(LIB_LIBS) -lcunit -lm

# With FUZZER=1 (make fuzz) main is libFuzzer's; else they replay inputs.
FUZZ_MAIN := $(if $(FUZZER),-fsanitize=fuzzer,$(BUILD)/tests/fuzz/replay.o)
$(FUZZERS): %: %.o $(if $(FUZZER),,$(BUILD)/tests/fuzz/replay.o) $(SUPPORT) $(PURE)
	$(say) LD $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(FUZZ_MAIN) -Wl,--start-group $(SUPPORT) $(PURE) -Wl,--end-group $(LIB_LIBS) -lcunit -lm

BENCH_SIM := $(BUILD)/tests/sim/transport_sim.o
$(BENCHES): %: %.o $(BENCH_OBJ) $(BENCH_SIM) $(SUPPORT) $(STATIC)
	$(say) LD $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(BENCH_OBJ) $(if $(filter %/scale,$@),$(BENCH_SIM)) $(SUPPORT) $(STATIC) $(MPI_LIBS) $(LIB_LIBS) -lcrypto -lcunit -lm

$(COMMAND): $(CLI_OBJ) $(STATIC)
	$(say) LD $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $(CLI_OBJ) $(STATIC)

$(EXAMPLES): $(BUILD)/examples/%: $(BUILD)/src/examples/%.o $(STATIC)
	$(say) LD $@
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) -o $@ $< $(STATIC) $(MPI_LIBS) $(LIB_LIBS) $(LDLIBS_$*)

# ---- running -------------------------------------------------------------------------------------

# Two steps: only after scripts/bootstrap is there an mpicc to ask. The second builds on every core
# unless a -j was given.
demo check bench:
	@scripts/bootstrap check
	@$(if $(filter bench,$@),scripts/bootstrap bench || echo "make bench goes on without them")
	@+$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc)) $@-run

demo-run: $(BUILD)/examples/squares $(BUILD)/examples/filehash
	@echo "squares, on 4 ranks:"
	@TIMEOUT=60 scripts/mpirun.sh -n 4 $(BUILD)/examples/squares
	@echo "filehash of $(DIR), on 4 ranks, into $(BUILD)/filehash.txt:"
	@TIMEOUT=3600 scripts/mpirun.sh -n 4 $(BUILD)/examples/filehash -s '$(DIR)' >$(BUILD)/filehash.txt

check-run: all tests
	@MAKEFLAGS= BUILD=$(BUILD) tests/run $(GROUP)

bench-run: $(BENCHES)
	@MAKEFLAGS= BUILD=$(BUILD) tests/bench/run $(PARTS)

bench-count: $(BUILD)/tests/bench/count
	@BUILD=$(BUILD) tests/bench/count

# Random schedules in which workers die and fall silent, from SEED on, as many as SECONDS allow.
SEED ?= 1
soak: $(BUILD)/tests/sim/test_losses
	$(Q)SECONDS=$(SECONDS) SEED=$(SEED) $<

# Every fuzz target for SECONDS, side by side; FUZZ=name: that one alone.
SECONDS ?= 60
fuzz:
	@scripts/bootstrap lint
	@+$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc)) CC=clang FUZZER=1 \
		SANITIZE=fuzzer-no-link,address,undefined BUILD=$(BUILD)-fuzz fuzz-targets
	@BUILD=$(BUILD)-fuzz tests/fuzz/run $(SECONDS) $(FUZZ)

.PHONY: fuzz fuzz-targets fuzz-corpus
fuzz-targets: $(FUZZERS)
# The committed inputs, written anew: after a change of the wire.
fuzz-corpus: $(FUZZERS)
	$(Q)for name in $(notdir $(FUZZERS)); do \
		mkdir -p tests/fuzz/corpus/$$name && $(BUILD)/tests/fuzz/$$name -w tests/fuzz/corpus/$$name || exit 1; done

lint:
	@scripts/bootstrap lint
	@+BUILD=$(BUILD) scripts/lint

# For scripts/lint: what every source is compiled with, then what MPI adds.
lint-flags:
	@echo '$(filter-out -W%,$(CPPFLAGS) $(CFLAGS)) $(INTERNAL) -Itests/support -Itests/sim -Itests/bench/common'
	@echo '$(MPI_CFLAGS)'

format:
	@scripts/bootstrap lint
	clang-format -i $(sort $(wildcard include/*.h src/*/*.[ch] src/lib/*/*.[ch] src/lib/*/*/*.[ch] tests/*/*.[ch] tests/*/*/*.[ch]))

clean:
	rm -rf $(BUILD)
