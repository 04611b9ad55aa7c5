// How near people come to a robot within a time span, and how likely they touch it. This header includes all other
// headers that a planner needs.
#ifndef MOTION_PREDICTOR__PLANNING_HPP_
#define MOTION_PREDICTOR__PLANNING_HPP_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "motion_predictor/reachable.hpp"
#include "motion_predictor/sweep.hpp"

#if __has_include(<Eigen/Core>)
#include "motion_predictor/eigen.hpp"
#endif

namespace motion_predictor
{

/// The least distance between a person and the robot.
struct Closest
{
  double distance_m = std::numeric_limits<double>::infinity();  // between surfaces; negative: overlap; infinite: nobody
  double time_s = std::numeric_limits<double>::quiet_NaN();  // seconds from now
  std::string person, limb;  // limb is empty if the person is not predicted
  std::size_t capsule = 0, sample = 0;
};

/// The least distance between bodies and a robot, with the sample n, time t, limb c and capsule r of this distance.
struct Nearest
{
  double distance_m = std::numeric_limits<double>::infinity();
  std::size_t n = 0, t = 0, c = 0, r = 0;
};

/// The least distance at each of T times if `each` is true, otherwise one least distance over all times.
inline std::vector<Nearest> nearest(const Bodies & bodies, const Robot & robot, bool each)
{
  const Robot there = bodies.seen_from_here(robot);
  Sweep sweep(bodies, there);
  std::vector<Nearest> found(each ? bodies.times.size() : 1);
  std::vector<std::size_t> order(sweep.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  // Measure bodies with the smallest bounds first, because their distances exclude most other bodies.
  std::sort(
    order.begin(), order.end(), [&](std::size_t a, std::size_t b) {return sweep.at_least(a) < sweep.at_least(b);});
  for (std::size_t body : order) {
    const std::size_t span = body % sweep.spans(), from = sweep.first_time(span), to = sweep.first_time(span + 1);
    float limit = 0;
    const auto lower_limit = [&] {
        double most = found[each ? from : 0].distance_m;
        for (std::size_t t = from; t < to && each; ++t) {most = std::max(most, found[t].distance_m);}
        limit = std::nextafter(static_cast<float>(most), std::numeric_limits<float>::infinity());
      };
    lower_limit();
    if (sweep.at_least(body) > limit) {continue;}
    sweep.turn_to(body, limit);
    for (std::size_t r = 0; r < robot.size(); ++r) {
      if (!sweep.is_in_question(r, limit)) {continue;}
      for (std::size_t k = 0; k < sweep.limbs(); ++k) {
        if (!sweep.is_limb_in_question(k, r, limit)) {continue;}
        for (std::size_t t = from; t < to; ++t) {
          const double distance = sweep.measure(t, k, r);
          Nearest & best = found[each ? t : 0];
          if (distance < best.distance_m) {best = {distance, body / sweep.spans(), t, sweep.limb(k), r};}
        }
        lower_limit();
      }
    }
  }
  return found;
}

/// Whether each sample touches each of the R capsules at any of the times. Element n * R + r of the result tells this
/// for sample n and capsule r.
inline std::vector<bool> touching(const Bodies & bodies, const Robot & robot, double margin_m = 0)
{
  const Robot there = bodies.seen_from_here(robot);
  Sweep sweep(bodies, there);
  const std::size_t R = robot.size();
  const float margin = std::nextafter(static_cast<float>(margin_m), std::numeric_limits<float>::infinity());
  std::vector<bool> touched(bodies.samples * R, false);
  for (std::size_t body = 0; body < sweep.size(); ++body) {
    if (sweep.at_least(body) > margin) {continue;}
    sweep.turn_to(body, margin);
    const std::size_t span = body % sweep.spans(), to = sweep.first_time(span + 1);
    for (std::size_t r = 0; r < R; ++r) {
      const std::size_t at = body / sweep.spans() * R + r;
      if (touched[at] || !sweep.is_in_question(r, margin)) {continue;}
      bool hit = sweep.is_within(r, margin);
      for (std::size_t k = 0; k < sweep.limbs() && !hit; ++k) {
        if (!sweep.is_limb_in_question(k, r, margin)) {continue;}
        for (std::size_t t = sweep.first_time(span); t < to && !hit; ++t) {hit = sweep.measure(t, k, r) <= margin_m;}
      }
      touched[at] = hit;
    }
  }
  return touched;
}

/// What a planner asks for: the time span, and how people are represented.
struct Look
{
  double start_s = 0, end_s = 1;  // start and end of the span, seconds from now
  bool by_samples = true;  // true: all samples; false, or if unfamiliar: the mean and its radius
  const Rigid * to_robot = nullptr;  // from the frame of the predictions to the frame of the robot
  const Limbs * limbs = nullptr;  // null: the limbs that this package has for the layout

  Limbs flesh(const Latest & latest) const {return limbs ? *limbs : limbs_of(latest.message());}

  /// Calls use(person, bodies) for each predicted person. The bodies are at the instants() of the span.
  template<class Use>
  void each_person(const Latest & latest, Use use) const
  {
    const auto & people = latest.message().motions;
    if (people.empty()) {return;}
    const auto times = instants(latest, start_s, end_s);
    const Limbs flesh = this->flesh(latest);
    for (const auto & person : people) {
      if (!is_predicted(person)) {continue;}
      use(
        person, by_samples && !person.unfamiliar ? Bodies::of_samples(latest, person, flesh, times, to_robot) :
        Bodies::of_mean(latest, person, flesh, times, to_robot));
    }
  }

  /// Calls use(person, time_s, r, distance_m) for each person who is not predicted, at each instant and for each
  /// capsule r. distance_m is the distance between the capsule and the space that the person can reach.
  template<class Use>
  void each_unpredicted(const Latest & latest, const Robot & robot, Use use) const
  {
    for (const auto & person : latest.message().motions) {
      if (is_predicted(person)) {continue;}
      const auto times = instants(latest, start_s, end_s);
      const Limbs flesh = this->flesh(latest);
      robot.require(times.size());
      for (std::size_t t = 0; t < times.size(); ++t) {
        for (std::size_t r = 0; r < robot.size(); ++r) {
          use(person, times[t], r, reachable_distance(latest, person, flesh, times[t], robot(t, r), to_robot));
        }
      }
    }
  }
};

/// The least distance between people and the robot within a span. Distances are computed at the instants(): at both
/// ends of the span and at every published frame in between. A robot that moves must have one pose per instant. Throws
/// std::logic_error without usable predictions, and std::out_of_range if the span is longer than the prediction.
inline Closest closest(const Latest & latest, const Robot & robot, const Look & look = {})
{
  Closest best;
  look.each_person(latest, [&](const msg::PredictedMotion & person, const Bodies & bodies) {
      const Nearest found = nearest(bodies, robot, false)[0];
      if (found.distance_m < best.distance_m) {
        best = {found.distance_m, bodies.times[found.t], person.id, bodies.limbs[found.c].name, found.r, found.n};
      }
    });
  look.each_unpredicted(
    latest, robot, [&](const msg::PredictedMotion & person, double time_s, std::size_t r, double distance_m) {
      if (distance_m < best.distance_m) {best = {distance_m, time_s, person.id, "", r, 0};}
    });
  return best;
}

/// Upper bound of the probability that a draw is a hit, with 95 % confidence (Clopper and Pearson). `of` is the number
/// of all draws, and `hits` is the number of draws that were hits.
inline double at_most(std::size_t hits, std::size_t of)
{
  if (hits >= of) {return 1;}
  double low = static_cast<double>(hits) / static_cast<double>(of), high = 1;
  for (int step = 0; step < 40; ++step) {  // bisection: each step halves the interval
    const double p = (low + high) / 2;
    double few = 0, term = std::pow(1 - p, static_cast<double>(of));
    for (std::size_t k = 0; k <= hits; ++k) {
      few += term;
      term *= static_cast<double>(of - k) / static_cast<double>(k + 1) * p / (1 - p);
    }
    (few > 0.05 ? low : high) = p;
  }
  return high;
}

/// The probability that a robot is touched, estimated from the samples. The probability of touch comes from the model
/// and is not calibrated.
struct Touch
{
  double share = 0;  // probability that any part of the robot is touched
  double at_most = 0;  // upper bound (95 % confidence): 6 % if none of 50 samples touches
  std::vector<double> of_capsule;  // probability that each capsule is touched
};

/// The probability that any person touches the robot within a time span. The people are assumed to move independently.
/// An unfamiliar or unpredicted person counts as touching each capsule that the person can reach. Distances up to
/// margin_m count as touching.
inline Touch touch(const Latest & latest, const Robot & robot, Look look = {}, double margin_m = 0)
{
  const std::size_t R = robot.size();
  double spared = 1, spared_at_least = 1;
  std::vector<double> capsules(R, 1);
  // Unfamiliar and unpredicted people count as touching each capsule that they can reach.
  const auto reach = [&](std::size_t r) {spared = spared_at_least = capsules[r] = 0;};
  look.by_samples = true;
  look.each_person(latest, [&](const msg::PredictedMotion & person, const Bodies & bodies) {
      const auto touched = touching(bodies, robot, margin_m);
      const double N = static_cast<double>(bodies.samples);
      std::vector<std::size_t> hits_of(R, 0);
      std::size_t hits = 0;
      for (std::size_t n = 0; n < bodies.samples; ++n) {
        bool any = false;
        for (std::size_t r = 0; r < R; ++r) {
          any = any || touched[n * R + r];
          hits_of[r] += touched[n * R + r];
        }
        hits += any;
      }
      for (std::size_t r = 0; r < R; ++r) {
        if (!person.unfamiliar) {capsules[r] *= 1 - static_cast<double>(hits_of[r]) / N;}
        if (person.unfamiliar && hits_of[r]) {reach(r);}
      }
      if (person.unfamiliar) {return;}
      spared *= 1 - static_cast<double>(hits) / N;
      spared_at_least *= 1 - at_most(hits, bodies.samples);
    });
  look.each_unpredicted(
    latest, robot, [&](const msg::PredictedMotion &, double, std::size_t r, double distance_m) {
      if (distance_m <= margin_m) {reach(r);}
    });
  for (double & capsule : capsules) {capsule = 1 - capsule;}
  return {1 - spared, latest.message().motions.empty() ? 0 : 1 - spared_at_least, capsules};
}

}  // namespace motion_predictor

#endif  // MOTION_PREDICTOR__PLANNING_HPP_
