//! Vendor: people of a vendor see what they have to do, by tokens alone, and say what they did.

use usufruct_core::id::{DeletionId, ServiceId};

use crate::{Answered, App, DeletionNotice, DeskSession, Error, OwnCaller};

impl App {
    /// What each service of a vendor has to delete, by the pseudonyms that it knows. From now on they count as told.
    pub fn vendor_deletions(&self, session: &DeskSession) -> Result<Vec<(ServiceId, Vec<DeletionNotice>)>, Error> {
        let register = self.register();
        let own = register.services.iter().filter(|(_, entry)| entry.body.agency == session.agency);
        let told = |id: &ServiceId| self.deletion_notices(OwnCaller::at_desk(id, self.held_desk(session)));
        own.map(|(id, _)| Ok((id.clone(), told(id)?))).collect()
    }

    /// Takes a vendor's word for what one of its services did, as that service's own word is taken.
    pub fn answer_vendor_deletion(
        &self,
        session: &DeskSession,
        service: &ServiceId,
        id: &DeletionId,
        answer: impl Into<Answered>,
    ) -> Result<(), Error> {
        let register = self.register();
        let is_own = register.services.get(service).is_some_and(|entry| entry.body.agency == session.agency);
        if !is_own {
            return Err(Error::Unknown { what: "service of this vendor" });
        }
        self.answer_deletion(OwnCaller::at_desk(service, self.held_desk(session)), id, answer)
    }
}
