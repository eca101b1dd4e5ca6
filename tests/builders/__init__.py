"""Events, files, pages and processes that several tests build; no test is imported from another."""
