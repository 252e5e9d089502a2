# deps.mk - Debian 12's packages, installed where they are missing. Runs before anything else that is asked for.

packages := gcc libc6-dev binutils libopenblas-dev liblapacke-dev libarpack2-dev libfftw3-dev libpng-dev libcairo2-dev \
            libpango1.0-dev fonts-dejavu-core fonts-wqy-microhei libjansson-dev libzstd-dev zlib1g-dev libpcre2-dev libutf8proc-dev libxxhash-dev libcmocka-dev

.PHONY: deps
deps: ## install the Debian packages that are missing (sudo when not root); the second time it does nothing
	@PACKAGES='$(packages)' sh mk/deps.sh
