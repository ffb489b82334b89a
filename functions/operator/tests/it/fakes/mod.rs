pub mod platform;
pub mod queues;

/// A message of the vendor's user, told apart from others by its event.
pub fn body(vendor: &str, user: &str, event: &str) -> String {
    format!(
        r#"{{"version":"1","eventId":"{event}","vendorId":"{vendor}","userId":"{user}","receivedAt":"2026-01-15T09:30:01Z"}}"#
    )
}
