// Package v1 holds the wire types of the REST API: what JSON bodies look like,
// apart from the domain's types, so that one can change without the other.
//
// Names and shapes are Spinnaker's where Spinnaker has the noun. Times are
// numbers of milliseconds since 1970 (Millis), except the createTs and updateTs
// of applications and pipelines, which are strings that hold such a number.
package v1
