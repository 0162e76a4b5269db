"""Application services (§Application Service API): who they are and which users they may act for."""
