// Retry actions of cloud APIs as resources: fired once, waited for, recorded.
package cloudretry
