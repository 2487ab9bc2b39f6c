"""Tests of what is done beside the server: snapshots, history, backups."""
