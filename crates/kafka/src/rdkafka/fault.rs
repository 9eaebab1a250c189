//! What errors of librdkafka mean for whoever called.

use ::rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::client::{Fault, FaultKind};

/// The fault of a call other than those of a transaction.
pub(super) fn of(doing: &'static str, error: &KafkaError) -> Fault {
    let kind = match error {
        KafkaError::ClientConfig(..)
        | KafkaError::ClientCreation(_)
        | KafkaError::MessageConsumptionFatal(_) => FaultKind::Fatal,
        KafkaError::Transaction(_) => return of_transaction(doing, error),
        error => error.rdkafka_error_code().map_or(FaultKind::Transient, by_code),
    };
    Fault { kind, doing, said: error.to_string() }
}

fn by_code(code: Code) -> FaultKind {
    match code {
        // The group has another in the member's place, or another list of members.
        Code::UnknownMemberId | Code::IllegalGeneration | Code::FencedInstanceId => {
            FaultKind::Fenced
        }
        // Nothing that time would cure.
        Code::Fatal
        | Code::Fenced
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedVersion
        | Code::InvalidGroupId
        | Code::InconsistentGroupProtocol
        | Code::OffsetMetadataTooLarge => FaultKind::Fatal,
        _ => FaultKind::Transient,
    }
}

/// The fault of a call of a transactional producer. One that is of no more use is as good as fenced: another is made
/// in its place, and the consumer goes on.
pub(super) fn of_transaction(doing: &'static str, error: &KafkaError) -> Fault {
    let kind = match error {
        KafkaError::Transaction(inner) if inner.is_fatal() => FaultKind::Fenced,
        KafkaError::Transaction(inner) if inner.txn_requires_abort() => FaultKind::Abortable,
        KafkaError::Transaction(inner) if inner.is_retriable() => FaultKind::Transient,
        // A call out of order, such as after an abort that did not come through.
        KafkaError::Transaction(_) => FaultKind::Fenced,
        KafkaError::Flush(_) => FaultKind::Transient,
        error => match error.rdkafka_error_code().map(by_code) {
            Some(FaultKind::Fatal) | None => FaultKind::Fenced,
            Some(_) => FaultKind::Abortable,
        },
    };
    Fault { kind, doing, said: error.to_string() }
}
