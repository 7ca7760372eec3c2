"""The store over SQLAlchemy Core: SQLite by default, PostgreSQL by URL; see README.md."""
