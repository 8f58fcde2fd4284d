use super::*;

const ID: &[u8; 16] = b"0123456789abcdef";

fn text(error: &WireError) -> String {
    error.payload().escape_ascii().to_string()
}

#[test]
fn only_errors_about_one_message_keep_the_connection() {
    for code in [
        ErrorCode::BadProtocol,
        ErrorCode::Invalid,
        ErrorCode::BadBody,
        ErrorCode::BadTopic,
        ErrorCode::BadChannel,
        ErrorCode::BadMessage,
        ErrorCode::PubFailed,
        ErrorCode::MpubFailed,
        ErrorCode::DpubFailed,
        ErrorCode::SubFailed,
        ErrorCode::IdentifyFailed,
        ErrorCode::AuthDisabled,
        ErrorCode::AuthFirst,
        ErrorCode::AuthFailed,
        ErrorCode::Unauthorized,
    ] {
        assert!(code.is_fatal(), "{code:?}");
    }
    for code in [ErrorCode::FinFailed, ErrorCode::ReqFailed, ErrorCode::TouchFailed] {
        assert!(!code.is_fatal(), "{code:?}");
    }
}

#[test]
fn a_bad_magic_has_no_description_and_no_space() {
    assert_eq!(WireError::bad_protocol().payload(), b"E_BAD_PROTOCOL");
}

#[test]
fn an_empty_command_leaves_its_space() {
    assert_eq!(WireError::unknown_command(b"").payload(), b"E_INVALID invalid command ");
    let tls = WireError::tls_required(b"");
    assert_eq!(tls.payload(), b"E_INVALID cannot  in current state (TLS required)");
}

#[test]
fn the_brokers_errors_have_nsqs_texts() {
    let cases = [
        (
            WireError::fin_failed(ID, cause::NOT_IN_FLIGHT),
            "E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight",
        ),
        (
            WireError::touch_failed(ID, cause::NOT_OWNER),
            "E_TOUCH_FAILED TOUCH 0123456789abcdef failed client does not own message",
        ),
        (
            WireError::req_failed(ID, cause::ALREADY_DEFERRED),
            "E_REQ_FAILED REQ 0123456789abcdef failed ID already deferred",
        ),
        (WireError::req_failed(ID, cause::EXITING), "E_REQ_FAILED REQ 0123456789abcdef failed exiting"),
        (WireError::pub_failed(cause::EXITING), "E_PUB_FAILED PUB failed exiting"),
        (WireError::mpub_failed(cause::EXITING), "E_MPUB_FAILED MPUB failed exiting"),
        (WireError::dpub_failed("disk"), "E_DPUB_FAILED DPUB failed disk"),
        (WireError::sub_failed(cause::EXITING), "E_SUB_FAILED SUB failed exiting"),
        (WireError::sub_failed(cause::VANISHED), "E_SUB_FAILED SUB failed to deleted topic/channel"),
        (
            WireError::sub_consumers_exceeded("t", "ch", 2),
            "E_SUB_FAILED SUB failed consumers for t:ch exceeds limit of 2",
        ),
        (WireError::identify_failed("tls: x"), "E_IDENTIFY_FAILED IDENTIFY failed tls: x"),
        (WireError::auth_failed(), "E_AUTH_FAILED AUTH failed"),
        (WireError::auth_no_authorizations(), "E_UNAUTHORIZED AUTH no authorizations found"),
        (WireError::unauthorized(Verb::Pub, "t", ""), r#"E_UNAUTHORIZED AUTH failed for PUB on \"t\" \"\""#),
        (
            WireError::unauthorized(Verb::Sub, "t", "ch"),
            r#"E_UNAUTHORIZED AUTH failed for SUB on \"t\" \"ch\""#,
        ),
    ];
    for (error, expected) in cases {
        assert_eq!(text(&error), expected);
    }
}

#[test]
fn an_id_is_copied_raw() {
    let error = WireError::fin_failed(b"\"\\%s{}$\t\x01\xc3\xa9\xffbcde", cause::NOT_IN_FLIGHT);
    assert_eq!(error.payload(), b"E_FIN_FAILED FIN \"\\%s{}$\t\x01\xc3\xa9\xffbcde failed ID not in flight");
}
