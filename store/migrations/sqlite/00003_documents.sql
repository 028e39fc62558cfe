-- +goose Up
CREATE TABLE documents (
    kind             TEXT    NOT NULL,
    id               TEXT    NOT NULL,
    applications     TEXT    NOT NULL, -- a JSON list of names in lower case
    name             TEXT    NOT NULL,
    document         TEXT    NOT NULL,
    revision         INTEGER NOT NULL,
    created_us       INTEGER NOT NULL,
    updated_us       INTEGER NOT NULL,
    last_modified_by TEXT    NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;

-- A document has a row for each of its applications; one of the platform has
-- one with an empty application.
CREATE TABLE document_names (
    kind        TEXT NOT NULL,
    application TEXT NOT NULL,
    name_key    TEXT NOT NULL, -- the name in lower case
    id          TEXT NOT NULL,
    PRIMARY KEY (kind, application, name_key),
    FOREIGN KEY (kind, id) REFERENCES documents (kind, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX document_names_by_document ON document_names (kind, id);

-- Every change, the newest included. Outlives the document.
CREATE TABLE document_revisions (
    kind             TEXT    NOT NULL,
    id               TEXT    NOT NULL,
    revision         INTEGER NOT NULL,
    applications     TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    document         TEXT    NOT NULL,
    created_us       INTEGER NOT NULL,
    updated_us       INTEGER NOT NULL,
    last_modified_by TEXT    NOT NULL,
    deleted          INTEGER NOT NULL,
    PRIMARY KEY (kind, id, revision)
) STRICT;

-- +goose Down
DROP TABLE document_revisions;
DROP TABLE document_names;
DROP TABLE documents;
