"""What is kept: tables, migrations, queries. All SQL and Redis access live here."""
