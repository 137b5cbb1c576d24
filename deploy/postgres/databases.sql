-- One database and one role per service; nobody may look into a neighbour's. Run once by psql as a superuser.
-- Passwords come from the environment (ORDERS_DB_PASSWORD, DISPATCH_DB_PASSWORD, BILLING_DB_PASSWORD); there is no default.
\set ON_ERROR_STOP on

\getenv orders_password ORDERS_DB_PASSWORD
\getenv dispatch_password DISPATCH_DB_PASSWORD
\getenv billing_password BILLING_DB_PASSWORD
\if :{?orders_password}
\else
DO $$ BEGIN RAISE EXCEPTION 'ORDERS_DB_PASSWORD is not set'; END $$;
\endif
\if :{?dispatch_password}
\else
DO $$ BEGIN RAISE EXCEPTION 'DISPATCH_DB_PASSWORD is not set'; END $$;
\endif
\if :{?billing_password}
\else
DO $$ BEGIN RAISE EXCEPTION 'BILLING_DB_PASSWORD is not set'; END $$;
\endif

CREATE ROLE orders LOGIN PASSWORD :'orders_password';
CREATE DATABASE orders OWNER orders TEMPLATE template0 ENCODING 'UTF8';
REVOKE ALL ON DATABASE orders FROM PUBLIC;

CREATE ROLE dispatch LOGIN PASSWORD :'dispatch_password';
CREATE DATABASE dispatch OWNER dispatch TEMPLATE template0 ENCODING 'UTF8';
REVOKE ALL ON DATABASE dispatch FROM PUBLIC;

CREATE ROLE billing LOGIN PASSWORD :'billing_password';
CREATE DATABASE billing OWNER billing TEMPLATE template0 ENCODING 'UTF8';
REVOKE ALL ON DATABASE billing FROM PUBLIC;
