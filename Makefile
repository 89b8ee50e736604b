# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
#   make            everything, into build/
#   make check      unit, packet and lab tests (root; installs what is missing)
#   make check-vm   packet tests and some labs on Debian's kernels 6.1 and 6.12, in qemu (root)
#   make check-vm-all   every packet, lab and vm test there, each in a guest of its own: an hour or two
#   make demo       a real DTLS join through XDP, step by step (root)
#   make bench      what relaying costs, as ratios in one run, then make bench-trips (root)
#   make bench-pktgen  the same by the kernel's pktgen, in qemu where it is missing (root)
#   make bench-est  enrolments a second, against what OpenSSL's public keys allow
#   make bench-trips   round trips a second, against nginx (root; installs it)
#   make fuzz       the codecs under libFuzzer for FUZZ_SECONDS each
#   make install    honours DESTDIR and PREFIX;  make uninstall
#   V=1             shows the commands

VERSION := 0.1.0
BUILD	:= build
PREFIX	?= /usr
DESTDIR ?=

CC	?= gcc
CLANG	?= clang
BPFTOOL ?= $(firstword $(shell command -v bpftool) /usr/sbin/bpftool)
RST2MAN ?= rst2man

ifeq ($(V),1)
Q :=
say =
else
Q := @
say = @printf '  %-8s %s\n' '$(1)' '$(2)';
endif

# ---- what is built from what ---------------------------------------------

PACKAGES := libbpf libxdp libcbor libevent libmnl jansson libconfuse libsystemd libcap-ng libcrypto libssl libcoap-3-openssl sqlite3 libcurl gmime-3.0
# Without c-ares, or where asked to, ways of discovery are left out: make WITH_CARES= WITH_AVAHI=
# (Avahi's daemon is spoken to by libsystemd, which is there anyway.)
WITH_CARES := $(shell pkg-config --exists libcares && echo yes)
WITH_AVAHI := yes
PACKAGES   += $(if $(WITH_CARES),libcares)
WITH_DEFS  := $(if $(WITH_CARES),-DJPX_WITH_CARES) $(if $(WITH_AVAHI),-DJPX_WITH_AVAHI)
PKG_CFLAGS = $(shell pkg-config --cflags $(PACKAGES))
PKG_LIBS   = $(shell pkg-config --libs $(PACKAGES)) $(if $(WITH_CARES),-lresolv)
# ... their sources and tests.
LEFT_OUT   := $(if $(WITH_CARES),,ctl/jpd/dns.c ctl/jpd/dns_sd.c tests/lab/dns_sd_test.c) \
	      $(if $(WITH_AVAHI),,ctl/common/avahibus.c ctl/jpd/mdns.c ctl/jpledge/find_mdns.c \
		tests/lab/mdns_test.c)

WARN   := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
# -iquote: our headers never shadow the system's of the same name.
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -DJPX_VERSION='"$(VERSION)"' $(WARN) -Iinclude \
	     -iquote ctl/common -iquote $(BUILD)/bpf $(WITH_DEFS) $(PKG_CFLAGS) -MMD -MP
LDFLAGS_ALL = -pie -Wl,-z,relro,-z,now,--as-needed $(LDFLAGS)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -std=gnu17 $(filter-out -Wstrict-prototypes,$(WARN)) \
	      -Wno-unused-parameter -Iinclude -I/usr/include/$(MULTIARCH) -MMD -MP

COMMON_SRC := $(filter-out $(LEFT_OUT),$(wildcard ctl/common/*.c))
PROGRAMS   := jpd jpctl jpreg jpledge
MAN_RST	   := $(wildcard docs/man/*.[58].rst)
MAN	   := $(MAN_RST:docs/man/%.rst=$(BUILD)/man/%)

src_of = $(filter-out $(LEFT_OUT),$(wildcard ctl/$(1)/*.c))
obj_of = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

.PHONY: all
all: $(PROGRAMS:%=$(BUILD)/%) $(MAN)

# The fast path itself, and what includes it to test or measure it.
define bpf_from
$(BUILD)/bpf/%.bpf.o: $(1)/%.bpf.c
	@mkdir -p $$(@D)
	$$(call say,CLANG,$$<)$(CLANG) $(BPF_CFLAGS) -Ibpf -iquote $(1) -c $$< -o $$@
endef
$(foreach d,bpf tests/packet tests/lab tests/bench,$(eval $(call bpf_from,$(d))))
.SECONDARY: $(patsubst %,$(BUILD)/bpf/%.bpf.o,jpx flows tc codec lossy bench)

SKEL := $(BUILD)/bpf/jpx.skel.h $(BUILD)/bpf/flows.skel.h $(BUILD)/bpf/tc.skel.h
# libxdp's run configuration is a section that bpftool does not know: not news.
$(BUILD)/bpf/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name $*_bpf > $@.tmp 2> $@.log || \
		{ cat $@.log >&2; exit 1; }
	$(Q)mv $@.tmp $@

$(BUILD)/obj/%.o: %.c | $(SKEL)
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) $(HARDEN) $(CFLAGS) -c $< -o $@

$(BUILD)/libjpx.a: $(call obj_of,$(COMMON_SRC))
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

define program
$(BUILD)/$(1): $(call obj_of,$(call src_of,$(1))) $(BUILD)/libjpx.a
	$$(call say,LD,$$@)$(CC) $(LDFLAGS_ALL) $$^ -o $$@ $$(PKG_LIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

# ---- manual pages: the table of reasons comes from include/jpx/reasons.h --

$(BUILD)/reasons-table: scripts/reasons-table.c ctl/common/words.c | $(SKEL)
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) -MF $@.d $^ -o $@

$(BUILD)/man/reasons.rst: $(BUILD)/reasons-table
	@mkdir -p $(@D)
	$(Q)$< > $@

$(BUILD)/man/%: docs/man/%.rst $(BUILD)/man/reasons.rst
	$(call say,MAN,$@)cp $< $(BUILD)/man/$(notdir $<) && \
		$(RST2MAN) --halt=warning $(BUILD)/man/$(notdir $<) $@ && rm $(BUILD)/man/$(notdir $<)

# ---- tests ----------------------------------------------------------------

UNIT_SRC  := $(wildcard tests/unit/test_*.c)
UNIT	  := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/%)
LAB_SRC	  := $(filter-out %.bpf.c $(LEFT_OUT),$(wildcard tests/lab/*.c))
LAB_BIN	  := $(LAB_SRC:tests/lab/%.c=$(BUILD)/tests/%)
TEST_DEFS := -DJPX_TEST_DIR='"tests/unit"'

# What a unit test needs besides the common library's sources.
$(BUILD)/tests/test_jpreg_peers: UNIT_WITH := ctl/jpreg/peers.c
$(BUILD)/tests/test_csr: UNIT_WITH := ctl/jpreg/csr.c
$(BUILD)/tests/test_record: UNIT_WITH := ctl/jpreg/record.c
$(BUILD)/tests/test_mime_parts: UNIT_WITH := ctl/jpreg/mime_parts.c
$(BUILD)/tests/test_policy: UNIT_WITH := $(addprefix ctl/jpreg/,policy.c serials.c crl.c csr.c record.c)
$(BUILD)/tests/test_ca: UNIT_WITH := $(addprefix ctl/jpreg/,ca.c authority.c csr.c issuance.c record.c)

$(BUILD)/tests/test_registrar_links: UNIT_WITH := ctl/jpreg/announce_links.c
$(BUILD)/tests/test_issuance: UNIT_WITH := $(addprefix ctl/jpreg/,issuance.c record.c authority.c)
# It plays the EST server itself.
$(BUILD)/tests/test_upstream: UNIT_WITH := $(addprefix ctl/jpreg/,upstream.c authority.c csr.c issuance.c record.c mime_parts.c) \
	-Wl,--wrap=event_add
# ... and this one policy and gate.
$(BUILD)/tests/test_est_server: UNIT_WITH := $(addprefix ctl/jpreg/,est_server.c csr.c serverkey.c) -Wl,--wrap=coap_register_async \
	-Wl,--wrap=free

$(BUILD)/tests/test_table: UNIT_WITH := ctl/jpd/table.c
$(BUILD)/tests/test_port_run: UNIT_WITH := ctl/jpctl/port_run.c
$(BUILD)/tests/test_icmp_error: UNIT_WITH := ctl/jpd/icmp_error.c
$(BUILD)/tests/test_config: UNIT_WITH := ctl/jpd/config.c ctl/jpd/config_discovery.c ctl/jpd/flow_limits.c
$(BUILD)/tests/test_announce_links: UNIT_WITH := ctl/jpd/announce_links.c
$(BUILD)/tests/test_find: UNIT_WITH := ctl/jpledge/find.c
$(BUILD)/tests/test_dtls_watch: UNIT_WITH := ctl/jpledge/dtls_watch.c
$(BUILD)/tests/test_dns: UNIT_WITH := $(if $(WITH_CARES),ctl/jpd/dns.c ctl/jpd/pledge_links.c)
# ... and what it plays itself.
$(BUILD)/tests/test_beacon: UNIT_WITH := ctl/jpd/beacon.c ctl/jpd/wpan.c -Wl,--wrap=wpan_open
$(BUILD)/tests/test_registrars: UNIT_WITH := ctl/jpd/registrars.c ctl/jpd/pledge_links.c -Wl,--wrap=clock_gettime
$(BUILD)/tests/test_view: UNIT_WITH := ctl/jpd/view.c ctl/jpd/pledge_links.c -Wl,--wrap=netwatch_each_link \
	-Wl,--wrap=netwatch_link_by_name
$(BUILD)/tests/test_lowpan: UNIT_WITH := -Wl,--wrap=netwatch_each_link -Wl,--wrap=netwatch_link_by_name
$(BUILD)/tests/test_resolve: UNIT_WITH := ctl/jpd/resolve.c ctl/jpd/abilities.c -Wl,--wrap=netwatch_link_by_name \
	-Wl,--wrap=jpx_strips_vlan_tags -Wl,--wrap=netwatch_link_by_index -Wl,--wrap=netwatch_route -Wl,--wrap=netwatch_neighbour
$(BUILD)/tests/test_probe: UNIT_WITH := ctl/jpd/probe.c ctl/jpd/udp_socket.c
$(BUILD)/tests/test_health: UNIT_WITH := ctl/jpd/health.c -Wl,--wrap=clock_gettime \
	-Wl,--wrap=event_new

# Runs every fuzz target over its corpus, once.
$(BUILD)/tests/test_corpus: UNIT_WITH := $(wildcard tests/fuzz/fuzz_*.c) \
	$(addprefix ctl/jpreg/,crl.c csr.c policy.c record.c serials.c dtls_name.c trace.c)
$(BUILD)/tests/test_corpus: $(wildcard tests/fuzz/*.[ch])

# What a lab program needs besides the common library's sources.
$(BUILD)/tests/coap_answer_test: LAB_WITH := ctl/jpd/coap_answer.c ctl/jpd/announce_links.c
$(BUILD)/tests/intercept_test: LAB_WITH := ctl/jpd/intercept.c ctl/jpd/udp_socket.c ctl/jpd/privilege.c

# The common library with sanitizers on, made once for all tests.
$(BUILD)/san/%.o: %.c | $(SKEL)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) $(SANITIZE) -g -O1 -c $< -o $@
$(BUILD)/san/libjpx.a: $(patsubst %.c,$(BUILD)/san/%.o,$(COMMON_SRC))
	$(call say,AR,$@)rm -f $@ && ar rcs $@ $^

$(BUILD)/tests/test_%: tests/unit/test_%.c $(BUILD)/san/libjpx.a $(wildcard ctl/*/*.h ctl/*/*.c include/jpx/*.h) | $(BUILD)/bpf/jpx.skel.h
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) -MF $@.d $(SANITIZE) -g -O1 $(TEST_DEFS) $< $(UNIT_WITH) \
		$(BUILD)/san/libjpx.a -o $@ $(PKG_LIBS) -lcmocka

# Counts packets and sums checksums by itself: plain, not sanitized, for speed.
PACKET_SRC := $(filter-out %.bpf.c,$(wildcard tests/packet/*.c))
PACKET_WITH := ctl/common/jpy.c ctl/common/cbor_item.c
$(BUILD)/tests/packets: $(PACKET_SRC) $(wildcard tests/packet/*.h) $(PACKET_WITH) $(SKEL) $(BUILD)/bpf/codec.skel.h
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) -MF $@.d $(CFLAGS) $(TEST_DEFS) \
		$(PACKET_SRC) $(PACKET_WITH) -o $@ $(PKG_LIBS) -lcmocka

# What a lab test needs besides them.
$(BUILD)/tests/local_ports_test: LAB_WITH := ctl/jpd/local_ports.c ctl/jpd/privilege.c \
	-Wl,--wrap=pwrite,--wrap=mnl_socket_recvfrom,--wrap=mnl_socket_sendto
$(BUILD)/tests/ask_test: LAB_WITH := ctl/jpd/coap_ask.c ctl/jpd/coap_question.c \
	ctl/jpd/grasp_way.c ctl/jpd/grasp_announce.c ctl/jpd/grasp_listen.c
$(BUILD)/tests/dns_sd_test: LAB_WITH := ctl/jpd/dns.c ctl/jpd/dns_sd.c ctl/jpd/pledge_links.c -DDNS_SD_LIFETIME_MIN=6 \
	-DDNS_SD_RETRY_MIN=3
$(BUILD)/tests/mdns_test: LAB_WITH := ctl/jpd/mdns.c ctl/jpledge/find_mdns.c
$(BUILD)/tests/wpan_probe: LAB_WITH := ctl/jpd/wpan.c
$(BUILD)/tests/lossy: $(BUILD)/bpf/lossy.skel.h

$(BUILD)/tests/%: tests/lab/%.c $(BUILD)/san/libjpx.a $(wildcard ctl/*/*.[ch] include/jpx/*.h) | $(SKEL)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) -MF $@.d $(SANITIZE) -g -O1 -iquote ctl/jpd $< $(LAB_WITH) \
		$(BUILD)/san/libjpx.a -o $@ $(PKG_LIBS)

.PHONY: test-programs
test-programs: $(UNIT) $(BUILD)/tests/packets $(LAB_BIN) $(BUILD)/pktgen-ends

.PHONY: setup check check-vm check-vm-all demo
setup:
	$(Q)scripts/setup.sh
check:
	$(Q)scripts/setup.sh
	$(Q)+$(MAKE) --no-print-directory all test-programs
	$(Q)scripts/check.sh
check-vm:
	$(Q)scripts/setup.sh vm
	$(Q)+$(MAKE) --no-print-directory all test-programs
	$(Q)scripts/check-vm.sh
check-vm-all:
	$(Q)scripts/setup.sh vm
	$(Q)+$(MAKE) --no-print-directory all test-programs
	$(Q)scripts/check-vm.sh all
demo:
	$(Q)scripts/setup.sh
	$(Q)+$(MAKE) --no-print-directory all
	$(Q)scripts/demo.sh

# ---- bench, fuzz ----------------------------------------------------------

BENCH_SRC := $(filter-out %.bpf.c,$(wildcard tests/bench/*.c))
$(BUILD)/bench: $(BENCH_SRC) $(wildcard tests/bench/*.h) $(BUILD)/libjpx.a $(BUILD)/bpf/bench.skel.h $(SKEL)
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) -MF $@.d $(CFLAGS) $(BENCH_SRC) $(BUILD)/libjpx.a -o $@ $(PKG_LIBS) -lm -lpthread

$(BUILD)/bpf/trips.bpf.o: tests/bench/trips/ends.bpf.c
	@mkdir -p $(@D)
	$(call say,CLANG,$<)$(CLANG) $(BPF_CFLAGS) -iquote tests/bench/trips -c $< -o $@
$(BUILD)/bpf/trips.skel.h: $(BUILD)/bpf/trips.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name trips_bpf > $@ 2> $@.log || \
		{ cat $@.log >&2; exit 1; }
TRIPS_SRC := $(filter-out %.bpf.c,$(wildcard tests/bench/trips/*.c))
$(BUILD)/trips-ends: $(TRIPS_SRC) $(wildcard tests/bench/trips/*.h) $(BUILD)/bpf/trips.skel.h
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) -MF $@.d $(CFLAGS) $(TRIPS_SRC) -o $@ $(PKG_LIBS) -lpthread

$(BUILD)/bpf/pktgen.bpf.o: tests/bench/pktgen/ends.bpf.c
	@mkdir -p $(@D)
	$(call say,CLANG,$<)$(CLANG) $(BPF_CFLAGS) -iquote tests/bench/pktgen -c $< -o $@
$(BUILD)/bpf/pktgen.skel.h: $(BUILD)/bpf/pktgen.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name pktgen_bpf > $@ 2> $@.log || \
		{ cat $@.log >&2; exit 1; }
PKTGEN_SRC := $(filter-out %.bpf.c,$(wildcard tests/bench/pktgen/*.c))
$(BUILD)/pktgen-ends: $(PKTGEN_SRC) $(wildcard tests/bench/pktgen/*.h) $(BUILD)/bpf/pktgen.skel.h
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) -MF $@.d $(CFLAGS) $(PKTGEN_SRC) -o $@ $(PKG_LIBS)

$(BUILD)/est-bench: tests/bench/est/est.c
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) -MF $@.d $(CFLAGS) $< -o $@ -lssl -lcrypto

.PHONY: bench bench-cost bench-trips bench-pktgen bench-est
# One after the other, whatever -j says: each wants the machine to itself.
bench:
	$(Q)+failed=0; for part in bench-cost bench-trips; do \
		$(MAKE) --no-print-directory $$part || failed=1; done; exit $$failed
bench-cost:
	$(Q)scripts/setup.sh
	$(Q)+$(MAKE) --no-print-directory all $(BUILD)/bench
	$(Q)$(BUILD)/bench --relay tests/bench/socket_engine.sh --json $(BUILD)/bench.json $(BENCH_ARGS)
bench-trips:
	$(Q)scripts/setup.sh bench
	$(Q)+$(MAKE) --no-print-directory all $(BUILD)/trips-ends
	$(Q)tests/bench/trips/trips.sh --json $(BUILD)/trips.json $(TRIPS_ARGS)

bench-pktgen:
	$(Q)scripts/setup.sh
	$(Q)+$(MAKE) --no-print-directory all $(BUILD)/pktgen-ends
	$(Q)scripts/bench-pktgen.sh --json $(BUILD)/pktgen.json $(PKTGEN_ARGS)

bench-est:
	$(Q)scripts/setup.sh
	$(Q)+$(MAKE) --no-print-directory all $(BUILD)/est-bench
	$(Q)scripts/bench-est.sh --json $(BUILD)/est.json $(EST_ARGS)

FUZZ_SECONDS ?= 60
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ	 := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz/%)
# What each of them is about; its corpus is tests/fuzz/corpus-NAME.
$(BUILD)/fuzz/fuzz_jpy: FUZZ_WITH := ctl/common/jpy.c ctl/common/cbor_item.c
$(BUILD)/fuzz/fuzz_grasp: FUZZ_WITH := $(addprefix ctl/common/,grasp.c cbor_item.c addr.c)
$(BUILD)/fuzz/fuzz_linkformat: FUZZ_WITH := $(addprefix ctl/common/,linkformat.c brski_link.c addr.c)
$(BUILD)/fuzz/fuzz_sixtisch: FUZZ_WITH := ctl/common/sixtisch.c
$(BUILD)/fuzz/fuzz_csr: FUZZ_WITH := ctl/jpreg/csr.c
$(BUILD)/fuzz/fuzz_certs: FUZZ_WITH := ctl/common/certs.c
$(BUILD)/fuzz/fuzz_multipart: FUZZ_WITH := $(addprefix ctl/common/,multipart.c cbor_item.c)
$(BUILD)/fuzz/fuzz_pemfile: FUZZ_WITH := ctl/common/pemfile.c
$(BUILD)/fuzz/fuzz_serials: FUZZ_WITH := ctl/jpreg/serials.c
$(BUILD)/fuzz/fuzz_policy: FUZZ_WITH := $(addprefix ctl/jpreg/,policy.c crl.c csr.c serials.c record.c) ctl/common/pemfile.c
$(BUILD)/fuzz/fuzz_trace: FUZZ_WITH := $(addprefix ctl/jpreg/,trace.c dtls_name.c) \
	$(addprefix ctl/common/,jpy.c cbor_item.c addr.c words.c)

$(BUILD)/fuzz/%: tests/fuzz/%.c $(COMMON_SRC) $(wildcard tests/fuzz/*.h tests/unit/guard.h ctl/common/*.h ctl/jpreg/*.[ch])
	@mkdir -p $(@D)
	$(call say,CLANG,$@)$(CLANG) -std=gnu17 -D_GNU_SOURCE -DJPX_LIBFUZZER $(WARN) -Iinclude \
		-iquote ctl/common -g -O1 -fsanitize=fuzzer,address,undefined $< $(FUZZ_WITH) -o $@ -lcbor -lcrypto -lsqlite3
.PHONY: fuzz
fuzz: $(FUZZ)
	$(Q)for f in $^; do mkdir -p $$f.corpus && $$f -max_total_time=$(FUZZ_SECONDS) -max_len=2048 \
		$$f.corpus tests/fuzz/corpus-$${f##*/fuzz_} || exit 1; done

# ---- install --------------------------------------------------------------

UNITDIR ?= $(or $(shell pkg-config --variable=systemdsystemunitdir systemd 2>/dev/null),/lib/systemd/system)
COMPLETIONS := $(PREFIX)/share/bash-completion/completions

.PHONY: install uninstall
install: all
	install -D -m 755 $(BUILD)/jpd $(DESTDIR)$(PREFIX)/sbin/jpd
	install -D -m 755 $(BUILD)/jpctl $(DESTDIR)$(PREFIX)/sbin/jpctl
	install -D -m 755 $(BUILD)/jpreg $(DESTDIR)$(PREFIX)/sbin/jpreg
	install -D -m 755 $(BUILD)/jpledge $(DESTDIR)$(PREFIX)/sbin/jpledge
	for m in $(notdir $(MAN)); do install -D -m 644 $(BUILD)/man/$$m \
		$(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$$m; done
	for u in jpd jpreg; do sed 's|@SBIN@|$(PREFIX)/sbin|g' scripts/$$u.service > $(BUILD)/$$u.service && \
		install -D -m 644 $(BUILD)/$$u.service $(DESTDIR)$(UNITDIR)/$$u.service || exit 1; done
	for p in jpctl jpledge; do install -D -m 644 scripts/completion/$$p.bash \
		$(DESTDIR)$(COMPLETIONS)/$$p; done
	[ -e $(DESTDIR)/etc/jpx/jpd.conf ] || install -D -m 644 scripts/jpd.conf $(DESTDIR)/etc/jpx/jpd.conf

# The configuration file is the operator's: it stays unless it is the sample, unchanged.
uninstall:
	rm -f $(PROGRAMS:%=$(DESTDIR)$(PREFIX)/sbin/%)
	for m in $(notdir $(MAN)); do rm -f $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}/$$m; done
	rm -f $(DESTDIR)$(UNITDIR)/jpd.service $(DESTDIR)$(UNITDIR)/jpreg.service $(DESTDIR)$(COMPLETIONS)/jpctl $(DESTDIR)$(COMPLETIONS)/jpledge
	! cmp -s scripts/jpd.conf $(DESTDIR)/etc/jpx/jpd.conf || rm -f $(DESTDIR)/etc/jpx/jpd.conf
	[ ! -d $(DESTDIR)/etc/jpx ] || rmdir --ignore-fail-on-non-empty $(DESTDIR)/etc/jpx

.PHONY: clean
clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -path $(BUILD)/vm -prune -o -name '*.d' -print 2>/dev/null)
