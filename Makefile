# One line each into scripts/. make test ARGS="tests/web -x"
.PHONY: serve test check bench routes
serve:   ; @scripts/serve $(ARGS)
test:    ; @scripts/test $(ARGS)
check:   ; @scripts/check $(ARGS)
bench:   ; @scripts/bench $(ARGS)
routes:  ; @scripts/routes $(ARGS)
