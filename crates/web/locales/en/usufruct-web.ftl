# Shared by every page.
pass-name = City Pass
skip-to-content = Skip to the main content
nav-footprint = Footprint
nav-consents = Consents
nav-data = My data
nav-account = Account
nav-register = Public register
nav-sign-in = Sign in
nav-sign-out = Sign out
language-label = Language
footer-promise = Every use of your data is in a public log before the data leaves.
footer-log = The log
error-title = That did not work
error-back = Back to the start

# Sign-in and enrolment.
sign-in-title = Sign in
sign-in-lead = Use the passkey on your device. There is no password.
sign-in-button = Sign in with a passkey
sign-in-no-script = Passkeys need JavaScript. Without it, any counter of the city serves you.
sign-in-working = Waiting for your device…
sign-in-failed = The passkey did not work. Try again, or ask a counter for help.
sign-in-enrol = I have an invitation code
enrol-title = Make your pass
enrol-lead = A clerk gave you a code on paper. It works once.
enrol-code = Invitation code
enrol-code-hint = Twelve letters and digits. Capitals, spaces and hyphens do not matter.
enrol-button = Make a passkey
enrol-failed = The passkey could not be made. Check the code and try again.

# Consent and signing out.
consent-title = { $service } asks for your data
consent-required = What it needs
consent-optional = What you may add
consent-who = Who gets it
consent-processor = works on its behalf
consent-location = Kept in:
consent-until = Until
consent-kept = Kept for
consent-law = Law
consent-answers = Who answers for it
consent-refusal = If you say no
consent-alternatives = Without the pass
consent-more = More about this
consent-register = This mandate in the public register
consent-agree = Agree
consent-not-now = Not now
consent-withdraw = You can withdraw at any time under “Consents”, in one step.
form-token = only a token
form-predicate = only yes or no
form-value = the value
sign-out-question = Do you want to sign out of the pass?
sign-out-done = You are signed out.

# Sample relying parties.
sample-library = City Library (sample)
sample-festival = Shopping Festival (sample)
sample-note = A sample service. It signs people in with the
sample-library-lead = Get a library card without filling in a form. The library asks the pass for what it needs, and you see it before you agree.
sample-festival-lead = Collect stamps without giving your name. The festival is run by a company; it learns a pseudonym, a yes or no, and nothing else.
sample-sign-in = Sign in with the city pass
sample-known-as = This service knows you only as
sample-read = Ask the pass for the data
sample-released = The pass released
sample-receipt = The use is in the log as number
sample-until = To be deleted by
sample-refused = The pass refused
sample-denied = You chose not to share anything now. That is fine; see the other ways on the page before.
sample-failed = The sign-in did not work. Start again.
