//! Payments: said by two people of the body that an order to compensate is about, once, and never changed.

use super::Check;
use crate::id::PaymentId;
use crate::order::OrderKind;
use crate::payment::Payment;
use crate::register::Content;

pub(super) fn payment(check: &mut Check<'_>) -> Option<Content> {
    let (register, statement) = (check.register, check.statement);
    let body = check.keep(Payment::read(&statement.body))?;
    let id: PaymentId = statement.id.parse().ok()?;
    if statement.rev != 1 {
        check.note("rev", "final", "A payment is not changed. Publish what is wrong with it as evidence of the order.".into());
    }
    let Some(order) = register.orders.get(&body.order) else {
        check.unknown("order", &body.order, "order");
        return None;
    };
    if let Some(owner) = register.target_owner(&order.body.target) {
        check.speaker(&owner, 2);
    }
    if order.body.kind != OrderKind::Compensate {
        check.note("order", "other-kind", "That order commands something else. Name an order to compensate.".into());
    }
    if register.payment(&body.order).is_some() {
        check.note("order", "paid", "It was said already that this was paid. There is nothing left to say.".into());
    }
    if body.paid_at > statement.at {
        check.note("paid_at", "future", "The day lies in the future. Say so when it was paid.".into());
    }
    if body.paid_at < order.effective_at() {
        check.note(
            "paid_at",
            "before-order",
            "It was paid before it was ordered. Name the payment that answers the order.".into(),
        );
    }
    Some(Content::Payment(id, body))
}
