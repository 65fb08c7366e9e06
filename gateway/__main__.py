"""`python -m gateway` is `nqgate`."""

from gateway.cli.main import main

main()
