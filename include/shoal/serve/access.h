// Access: who may do what, as the /v2/ endpoints apply it. A value; replaced as a whole on SIGHUP.
#pragma once

#include <string>

#include "shoal/auth/auth.h"

namespace shoal::serve {

struct Access {
  auth::Policy policy;           // not enabled: nobody is asked, and Authorization headers are not looked at
  std::string realm = "Shoal";   // of the Basic challenge; no quotes, no control bytes
  bool allow_plaintext = false;  // take passwords over a connection that is neither TLS nor loopback
};

}  // namespace shoal::serve
