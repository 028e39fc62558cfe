package v1

// NotificationType is a way of telling people that notification settings can name.
type NotificationType struct {
	NotificationType string                  `json:"notificationType"`
	Parameters       []NotificationParameter `json:"parameters"`
}

// NotificationParameter is what a way of telling needs to know.
type NotificationParameter struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	Type  string `json:"type"`
}
